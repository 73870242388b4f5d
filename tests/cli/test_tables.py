"""Tables in terminals of any width, and in pipes."""

from insilico.cli.tables import format_table, terminal_width

HEADER = ["name", "what goes in", "neurons"]
ROWS = [("first-network", "image 36 x 64, behavior", 7776), ("second-network", "movie", None)]


def test_pipe_gets_a_line_a_row_and_missing_numbers_are_dashes():
    assert format_table(HEADER, ROWS).splitlines() == [
        "name            what goes in             neurons",
        "------------------------------------------------",
        "first-network   image 36 x 64, behavior    7,776",
        "second-network  movie                          -",
    ]
    assert terminal_width() is None  # under pytest, output is captured


def test_long_texts_are_wrapped_between_words_until_a_line_fits():
    lines = format_table(HEADER, ROWS, width=40).splitlines()
    assert max(map(len, lines)) <= 40
    assert lines == [
        "name            what goes in     neurons",
        "----------------------------------------",
        "first-network   image 36 x 64,     7,776",
        "                behavior",
        "",
        "second-network  movie                  -",
    ]


def test_columns_are_left_out_in_order_where_wrapping_does_not_do():
    text = format_table(HEADER, ROWS, width=26, dispensable=("what goes in", "neurons"))
    assert text.splitlines()[0] == "name            neurons"
    assert text.endswith("Too narrow for: what goes in.")
    text = format_table(HEADER, ROWS, width=10, dispensable=("what goes in", "neurons"))
    assert text.splitlines()[0] == "name"
    assert text.endswith("Too narrow for: what goes in, neurons.")
    assert "second-network" in text  # never cut, even where a line gets too long


def test_table_without_rows_is_its_header():
    assert format_table(HEADER, [], width=80).splitlines()[0] == "name  what goes in  neurons"
