"""``insilico demo``: the tour, offline, on simulated neurons."""

from __future__ import annotations

from pathlib import Path


def demo(*, out: Path = Path("demo"), neurons: int = 60) -> None:
    """Map receptive fields and direction tuning of simulated neurons, and compare with the truth.

    Parameters
    ----------
    out : Path
        The run folder: tables, arrays and figures.
    neurons : int
        Number of simulated neurons, half of them simple cells, half energy cells.
    """
    import insilico
    from insilico.cli.saving import save_figure, save_figures, summary
    from insilico.cli.validate import format_summary
    from insilico.figures.validation import plot_validation
    from insilico.validation import compare_with_truth

    twin = insilico.SimulatedV1(
        "movie", simple_count=neurons - neurons // 2, energy_count=neurons // 2
    )
    print(
        f"A simulated V1: {neurons} neurons over a {twin.screen().width_cm:g} x "
        f"{twin.screen().height_cm:g} cm screen, half simple cells, half energy cells.\n"
    )
    results = {}
    for name in ("retinotopy", "direction"):
        results[name] = insilico.run(name, twin, out=out, progress=True, command="insilico demo")
        save_figures(results[name], out / name / "figures")
        print(summary(results[name]), "\n")
    validation = compare_with_truth(twin, results)
    save_figure(plot_validation(validation.neurons), out, "planted-against-recovered")
    print("Planted against recovered:")
    print(format_summary(validation.summary))
    print(f"\nLook at the figures: {out}/*/figures/*.png and {out}/planted-against-recovered.png")
    print(
        "Next: insilico models list, then insilico run retinotopy direction --model NAME --out RUN"
    )
