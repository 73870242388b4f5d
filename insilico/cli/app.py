"""The commands and their one way of failing: a sentence on stderr and exit code 2."""

from __future__ import annotations

import logging
import sys

import cyclopts

import insilico
from insilico.cli import (
    attention,
    compare,
    demo,
    evaluate,
    generate,
    models,
    recordings,
    respond,
    run,
    simulate,
    train,
    validate,
)
from insilico.errors import InsilicoError

#: Exit code of a user's mistake, and of a run that was stopped half way.
MISTAKE = 2

app = cyclopts.App(
    name="insilico",
    help="In-silico physiology on digital twins of visual cortex.",
    version=insilico.__version__,
    default_parameter=cyclopts.Parameter(negative=()),
    # Ctrl-C is ours to explain: what is finished is kept.
    suppress_keyboard_interrupt=False,
)
app.command(attention.attention)
app.command(compare.compare)
app.command(demo.demo)
app.command(evaluate.evaluate)
app.command(generate.generate)
app.command(models.app)
app.command(recordings.app)
app.command(respond.respond)
app.command(run.run)
app.command(simulate.simulate)
app.command(train.train)
app.command(validate.validate)


def main() -> None:
    """Run the command line, as ``insilico`` or ``python -m insilico``."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("insilico").setLevel(logging.INFO)
    try:
        app(sys.argv[1:], exit_on_error=False, print_error=False)
    except InsilicoError as error:
        _stop(str(error))
    except cyclopts.CycloptsError as error:
        _stop(f"{' '.join(str(error).split())} 'insilico --help' lists what there is")
    except KeyboardInterrupt:
        _stop("stopped; what is finished is kept, and the same command continues from it")
    except BrokenPipeError:
        # The reader of our output has gone, as with '| head'.
        sys.stderr.close()
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        _stop(f"the computer refused a file{where}: {error.strerror or error}")


def _stop(sentence: str) -> None:
    print(f"insilico: {sentence}", file=sys.stderr)
    raise SystemExit(MISTAKE)
