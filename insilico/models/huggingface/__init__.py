"""Run folders from the Hugging Face hub.

Files are kept in ``<cache>/huggingface/<owner>--<repository>/<commit>/``, under their paths in the
repository. An entry of the zoo that is not pinned is recorded beside them in ``<entry>.toml`` when
it is first pulled, and from then on held to that record.
"""

from insilico.models.huggingface.files import Access
from insilico.models.huggingface.record import RunRecord
from insilico.models.huggingface.runs import LocalRun, fetch_run, recorded

__all__ = ["Access", "LocalRun", "RunRecord", "fetch_run", "recorded"]
