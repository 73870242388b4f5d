import dataclasses
import math
import re
from typing import Literal

import pytest

from insilico import catalog
from insilico.errors import CatalogError, ProtocolError
from insilico.experiments import EXPERIMENTS, find_experiment
from insilico.experiments.protocols import (
    Protocol,
    build_protocol,
    parse_overrides,
    read_protocol,
    require,
)
from insilico.synthesis.protocol import SynthesisProtocol


@dataclasses.dataclass(frozen=True)
class SizeProtocol(Protocol):
    """One value of every type that a protocol may hold."""

    levels: Literal["uniform", "binary"]
    count: int
    lead_s: float
    sizes_deg: tuple[float, ...]
    goal: float | None = None

    def __post_init__(self) -> None:
        require(self.count > 0, "count must be above 0")


VALUES = {
    "experiment": "size",
    "source": "somewhere",
    "seed": 1,
    "levels": "binary",
    "count": 3,
    "lead_s": 2,
    "sizes_deg": [10, 20.5],
}

TEXT = """
experiment = "size"
source = "somewhere"
seed = 1
levels = "binary"
count = 3
lead_s = 2
sizes_deg = [10, 20.5]
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "size.toml"
    path.write_text(TEXT)
    return path


def test_values_arrive_in_their_types():
    protocol = build_protocol(SizeProtocol, VALUES)
    assert protocol == SizeProtocol("size", "somewhere", 1, "binary", 3, 2.0, (10.0, 20.5))
    assert isinstance(protocol.lead_s, float)


def test_protocol_survives_a_round_trip_through_plain_values():
    protocol = build_protocol(SizeProtocol, {**VALUES, "goal": 0.5})
    assert build_protocol(SizeProtocol, protocol.to_dict()) == protocol
    without_goal = build_protocol(SizeProtocol, VALUES)
    assert "goal" not in without_goal.to_dict()
    assert build_protocol(SizeProtocol, without_goal.to_dict()) == without_goal


def test_file_is_read_and_overrides_replace_its_values(path):
    protocol = read_protocol(SizeProtocol, path, overrides={"count": 7}, experiment="size")
    assert (protocol.count, protocol.sizes_deg) == (7, (10.0, 20.5))
    assert read_protocol(SizeProtocol, str(path), experiment="size").count == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"cuont": 3},
            "no key 'cuont'; did you mean 'count'. experiments/size.toml lists its keys",
        ),
        ({"count": 3.5}, "count is 3.5; give a whole number"),
        ({"count": True}, "count is True; give a whole number"),
        ({"lead_s": "long"}, "lead_s is 'long'; give a number"),
        ({"levels": "pink"}, "levels is 'pink'; give"),
        ({"sizes_deg": 10}, "sizes_deg is 10; give a list of"),
        ({"sizes_deg": [10, "big"]}, "sizes_deg is 'big'; give a number"),
        ({"goal": "high"}, "goal is 'high'; give a number"),
        ({"source": 3}, "source is 3; give text"),
        ({"count": 0}, "does not hold together: count must be above 0"),
    ],
)
def test_value_that_does_not_fit_is_refused(change, message):
    with pytest.raises(ProtocolError, match=message):
        build_protocol(SizeProtocol, {**VALUES, **change})


def test_several_keys_like_an_unknown_one_are_named_and_no_others():
    with pytest.raises(ProtocolError, match=r"no key 'level'; did you mean 'levels'. exp"):
        build_protocol(SizeProtocol, {**VALUES, "level": 3})
    with pytest.raises(ProtocolError, match=r"no key 'color'; experiments/size.toml lists"):
        build_protocol(SizeProtocol, {**VALUES, "color": 3})


@pytest.mark.parametrize("name", [*EXPERIMENTS, "mei", "mev"])
def test_the_default_file_of_an_experiment_names_every_key(name):
    is_made = name not in EXPERIMENTS
    kind = SynthesisProtocol if is_made else find_experiment(name).protocol_type
    text = catalog.find("experiments", name).read_text()
    for field in dataclasses.fields(kind):
        assert re.search(rf"\b{field.name}\b", text), field.name


def test_missing_key_is_named():
    values = {key: value for key, value in VALUES.items() if key != "lead_s"}
    with pytest.raises(ProtocolError, match="lacks the key 'lead_s'; add it"):
        build_protocol(SizeProtocol, values)


def test_protocol_of_another_experiment_is_refused(path):
    with pytest.raises(ProtocolError, match="for the experiment 'size', and 'onset' was asked"):
        read_protocol(SizeProtocol, path, experiment="onset")


@pytest.mark.parametrize("content", [b"count = ", b"\xff\xfe\x00"])
def test_file_that_is_no_toml_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(ProtocolError, match=r"size\.toml is not valid TOML"):
        read_protocol(SizeProtocol, path, experiment="size")


def test_missing_file_and_folder_are_refused(tmp_path):
    for path in (tmp_path / "nowhere.toml", tmp_path):
        with pytest.raises(ProtocolError, match=r"cannot be read .*; give a TOML file or the name"):
            read_protocol(SizeProtocol, path, experiment="size")


def test_unknown_shipped_protocol_is_refused():
    with pytest.raises(CatalogError, match="direction-publisehd"):
        read_protocol(SizeProtocol, "direction-publisehd", experiment="direction")


def test_overrides_are_read_as_toml_with_quotes_optional():
    assert parse_overrides(
        ["a=3", "b = 0.5", "c=[1, 2]", "d=binary", 'e="x=y"', "f=true", "g=a=b"]
    ) == {"a": 3, "b": 0.5, "c": [1, 2], "d": "binary", "e": "x=y", "f": True, "g": "a=b"}


def test_override_without_an_equals_sign_is_refused():
    with pytest.raises(ProtocolError, match="--set 'count 3' was not understood; write key=value"):
        parse_overrides(["count 3"])


def test_nan_is_a_float_and_left_to_the_requirements():
    assert math.isnan(build_protocol(SizeProtocol, {**VALUES, "lead_s": math.nan}).lead_s)
