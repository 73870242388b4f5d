"""What an import costs. Each import runs in a fresh interpreter."""

import subprocess
import sys

import pytest

HEAVY = {"matplotlib", "lmfit", "scipy.optimize", "pandas", "torch"}
MODEL_FREE = [
    "insilico.results",
    "insilico.experiments.direction",
    "insilico.experiments.retinotopy",
    "insilico.fits.gaussian",
    "insilico.fits.von_mises",
    "insilico.statistics.correlation",
    "insilico.statistics.permutation",
    "insilico.statistics.selectivity",
    "insilico.figures",
    "insilico.figures.retinotopy",
    "insilico.figures.direction",
]


def loaded_after(statement):
    program = f"import sys; {statement}; print(' '.join(sys.modules))"
    finished = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    return set(finished.stdout.split())


def test_importing_the_package_loads_nothing_heavy():
    assert not HEAVY & loaded_after("import insilico")


def test_listing_the_names_of_the_package_does_not_load_them():
    assert "numpy" not in loaded_after("import insilico; insilico.__version__; dir(insilico)")


def test_results_fits_statistics_and_figures_need_no_torch():
    modules = loaded_after("; ".join(f"import {module}" for module in MODEL_FREE))
    assert "torch" not in modules


def test_matplotlib_stays_in_the_figures():
    loaded = loaded_after("import insilico.experiments, insilico.simulation, insilico.twin")
    assert "matplotlib" not in loaded


def test_every_public_name_loads_and_unknown_ones_are_refused():
    import insilico

    for name in insilico.__all__:
        assert getattr(insilico, name) is not None
    assert set(dir(insilico)) == set(insilico.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Tiwn'"):
        _ = insilico.Tiwn
