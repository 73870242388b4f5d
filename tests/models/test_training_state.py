"""Training states that hold live objects: their weights are read and nothing in them runs."""

import collections
import copyreg
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from insilico.errors import CheckpointError
from insilico.models.training_state import read_training_state, strip_compile_prefix
from insilico.models.weights import read_state_dict

NUMBERS = np.arange(6, dtype="<f4")
#: A free number of copyreg's for private use.
EXTENSION = 240


def text(value):
    return b"X" + len(value.encode()).to_bytes(4, "little") + value.encode()


def name(module, name):
    return f"c{module}\n{name}\n".encode()


def call(function, *arguments):
    return function + b"(" + b"".join(arguments) + b"tR"


def dictionary(**entries):
    pairs = b"".join(text(key) + value for key, value in entries.items())
    return b"}(" + pairs + b"u"


def ordered(**entries):
    return call(name("collections", "OrderedDict")) + dictionary(**entries)[1:]


def storage(key=None, *, kind="FloatStorage", count=6):
    key = text("0") if key is None else key
    parts = (text("storage"), name("torch", kind), key, text("cpu"), b"K" + bytes([count]))
    return b"(" + b"".join(parts) + b"tQ"


def tensor(stored=None, *, offset=0, shape=(2, 3), strides=(3, 1), hooks=None):
    stored = storage() if stored is None else stored
    hooks = ordered() if hooks is None else hooks
    lengths = [b"(" + b"".join(b"J" + n.to_bytes(4, "little", signed=True) for n in values) + b"t"
               for values in (shape, strides)]  # fmt: skip
    return call(
        name("torch._utils", "_rebuild_tensor_v2"),
        stored,
        b"J" + offset.to_bytes(4, "little", signed=True),
        *lengths,
        b"\x89",
        hooks,
    )


def state(model=None, **others):
    model = ordered(weight=tensor()) if model is None else model
    return dictionary(epoch=b"K\x07", value=b"G?\xd0" + bytes(6), model=model, **others)


@pytest.fixture
def archive(tmp_path):
    """Write an archive of ``torch.save`` around a pickle."""

    def write(pickle, *, order=b"little", numbers=NUMBERS, method=zipfile.ZIP_STORED):
        path = tmp_path / "model_state.pt"
        with zipfile.ZipFile(path, "w", method) as file:
            file.writestr("model_state/data.pkl", b"\x80\x04" + pickle + b".")
            file.writestr("model_state/byteorder", order)
            file.writestr("model_state/data/0", numbers.tobytes())
            file.writestr("model_state/version", b"3\n")
        return path

    return write


def reduced(path):
    return call(name("os", "mkdir"), text(path))


def instantiated(path):
    return b"(" + text(path) + b"ios\nmkdir\n"


def made_from_mark(path):
    return b"(" + name("os", "mkdir") + text(path) + b"o"


def dotted(path):
    function = text("torch._utils") + text("torch.os.mkdir") + b"\x93"
    return call(function, text(path))


def nested(path):
    return b"](](" + reduced(path) + b"ee"


def through_getattr(path):
    module = call(name("importlib", "import_module"), text("os"))
    return call(call(name("builtins", "getattr"), module, text("mkdir")), text(path))


def built_by_state(path):
    # partial.__setstate__ takes the function, and the call then runs it.
    function = call(name("functools", "partial"), name("builtins", "print"))
    function += b"(" + name("os", "mkdir") + b")}" + b"Nt" + b"b"
    return call(function, text(path))


def new_object(path):
    arguments = text(path) + text("u1") + text("w+") + b"K\x00K\x01\x85"
    return name("numpy", "memmap") + b"(" + arguments + b"t\x81"


def new_object_with_keywords(path):
    keywords = dictionary(mode=text("w+"), shape=b"K\x01\x85")
    return name("numpy", "memmap") + text(path) + b"\x85" + keywords + b"\x92"


def by_extension(path):
    return call(b"\x82" + bytes([EXTENSION]), text(path))


ATTACKS = (
    reduced,
    instantiated,
    made_from_mark,
    dotted,
    nested,
    through_getattr,
    built_by_state,
    new_object,
    new_object_with_keywords,
    by_extension,
)

#: Where an attack can stand; in the first two the weights can be read beside it.
PLACES = {
    "beside the weights": lambda attack: state(scheduler=attack),
    "as the hooks of a tensor": lambda attack: state(ordered(weight=tensor(hooks=attack))),
    "as the weights": lambda attack: state(attack),
    "as a tensor": lambda attack: state(ordered(weight=attack)),
    "as the name of a storage": lambda attack: state(ordered(weight=tensor(storage(attack)))),
    "as a key": lambda attack: state(ordered()[:-1] + attack + tensor() + b"u"),
    "as a plain value": lambda attack: dictionary(epoch=attack, model=ordered(weight=tensor())),
    "as everything": lambda attack: attack,
}


@pytest.fixture
def extension():
    copyreg.add_extension("os", "mkdir", EXTENSION)
    yield
    copyreg.remove_extension("os", "mkdir", EXTENSION)


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("place", PLACES)
def test_code_in_a_training_state_is_never_run(archive, tmp_path, extension, attack, place):
    trap = tmp_path / "trap"
    path = archive(PLACES[place](attack(str(trap))))
    if place in ("beside the weights", "as the hooks of a tensor", "as a plain value"):
        found, _ = read_training_state(path)
        assert found["weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    else:
        with pytest.raises(CheckpointError, match="holds no training state"):
            read_training_state(path)
    assert not trap.exists()


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_of_these_tests_would_work_on_an_unpickler(archive, tmp_path, extension, attack):
    trap = tmp_path / "trap"
    path = archive(PLACES["beside the weights"](attack(str(trap))))
    torch.load(path, weights_only=False)  # that this is dangerous is the point
    assert trap.exists()


def test_published_training_state_has_the_weights_that_unpickling_finds(shared_data):
    path = shared_data / "v1t" / "small_published_format" / "ckpt" / "model_state.pt"
    found, values = read_training_state(path)
    expected = torch.load(path, weights_only=False)  # made with the reference code
    assert values["epoch"] == expected["epoch"]
    assert list(found) == list(expected["model"])
    for key, value in expected["model"].items():
        assert (found[key].shape, found[key].dtype) == (value.shape, value.dtype)
        assert torch.equal(found[key], value)


def test_weights_of_every_kind_are_as_they_were_saved(tmp_path):
    base = torch.arange(24.0)
    model = collections.OrderedDict(
        transposed=base.reshape(4, 6).T,
        part=base[5:17:3],
        same_storage=base,
        scalar=torch.tensor(2.5),
        empty=torch.zeros(0, 3),
        expanded=torch.ones(1).expand(4, 5),
        parameter=torch.nn.Parameter(torch.randn(3)),
        **{
            str(dtype): torch.tensor([1, 0, 1]).to(dtype)
            for dtype in (
                torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32,
                torch.int16, torch.int8, torch.uint8, torch.bool,
            )
        },
    )  # fmt: skip
    contents = {"epoch": 12, "value": 0.25, "model": model, "device": torch.device("cpu")}
    contents["scheduler"] = {"best": np.float64(0.25), "places": {tmp_path}, "wait": [1, (2, None)]}
    torch.save(contents, tmp_path / "model_state.pt")
    found, values = read_training_state(tmp_path / "model_state.pt")
    assert values == {"epoch": 12, "value": 0.25}
    assert list(found) == list(model)
    for key, value in model.items():
        assert found[key].dtype == value.dtype
        assert torch.equal(found[key], value)
        assert found[key].is_contiguous()
        assert not found[key].requires_grad


def test_state_dict_of_a_module_is_read_like_by_pytorch(tmp_path):
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    path = tmp_path / "model.pt"
    torch.save(network.state_dict(), path)
    found, values = read_training_state(path)
    assert values == {}
    expected = read_state_dict(path)
    assert list(found) == list(expected)
    assert all(torch.equal(found[key], value) for key, value in expected.items())


def test_numbers_of_another_byte_order_are_turned(archive):
    path = archive(state(), order=b"big", numbers=NUMBERS.astype(">f4"))
    found, values = read_training_state(path)
    assert found["weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert values == {"epoch": 7, "value": 0.25}


@pytest.mark.parametrize(
    ("pickle", "phrase"),
    [
        (state(ordered(weight=tensor(offset=1))), "'weight' reaches beyond its storage"),
        (state(ordered(weight=tensor(strides=(4, 1)))), "reaches beyond its storage"),
        (state(ordered(weight=tensor(offset=-1))), "damaged shape"),
        (state(ordered(weight=tensor(strides=(3, -1)))), "damaged shape"),
        (state(ordered(weight=tensor(shape=(6,)))), "damaged shape"),
        (state(ordered(weight=tensor(shape=(2**30,) * 2, strides=(0, 0)))), "reaches beyond"),
        (state(ordered(weight=tensor(storage(count=7)))), "has not the 7 values"),
        (state(ordered(weight=tensor(storage(kind="DoubleStorage")))), "has not the 6 values"),
        (state(ordered(weight=tensor(storage(kind="QInt8Storage")))), "the storage 'QInt8Storage'"),
        (state(ordered(weight=tensor(storage(text("1"))))), "it has no data/1"),
        (state(ordered(weight=tensor(storage(text("../version"))))), "a tensor has the storage"),
        (state(ordered(weight=b"K\x01")), "expected under 'weight', a number arrived"),
        (state(ordered(weight=name("os", "mkdir"))), "the name 'os.mkdir' arrived"),
        (state(b"]"), "tensors by name were expected, a list arrived"),
        (state(call(name("os", "stat"), text("x"))), "an object made by 'os.stat' arrived"),
        (dictionary(epoch=b"K\x07"), "expected under 'epoch', a number arrived"),
        (b"}K\x01K\x02s", "names are texts, a number arrived"),
        (b"(", "damaged pickle|ends with one object"),
        (b"t", "damaged pickle"),
        (b"K\x01K\x02", "ends with one object"),
        (b"h\x05", "damaged pickle"),
        (b"K\x01K\x02K\x03s", "only dictionaries"),
    ],
)
def test_what_is_no_training_state_is_refused(archive, pickle, phrase):
    with pytest.raises(CheckpointError, match=phrase) as refusal:
        read_training_state(archive(pickle))
    assert "model_state.pt" in str(refusal.value)


@pytest.mark.parametrize(
    "pickle",
    [
        b"]" * 200_000 + b"a" * 199_999,
        b")" + b"\x85" * 200_000,
        b"}" + b")" + b"\x85" * 200_000 + b"Ns",
        b"]" + b"2\x86" * 500,
    ],
    ids=["lists", "tuples", "key", "doubling"],
)
def test_deeply_nested_pickles_are_refused(archive, pickle):
    with pytest.raises(CheckpointError, match="holds no training state"):
        read_training_state(archive(pickle))


@given(st.data())
def test_no_change_of_bytes_ends_in_anything_but_a_refusal(tmp_path_factory, data):
    good = b"\x80\x04" + state(scheduler=nested("x")) + b"."
    position = data.draw(st.integers(2, len(good) - 1))
    inserted = data.draw(st.binary(max_size=3))
    removed = data.draw(st.integers(0, 3))
    path = tmp_path_factory.getbasetemp() / "mutated.pt"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a/data.pkl", good[:position] + inserted + good[position + removed :])
        file.writestr("a/data/0", NUMBERS.tobytes())
    try:
        found, _ = read_training_state(path)
    except CheckpointError as error:
        assert "mutated.pt" in str(error)  # noqa: PT017
    else:
        assert all(isinstance(value, torch.Tensor) for value in found.values())


def test_compressed_archive_is_refused(archive):
    path = archive(state(), method=zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointError, match=r"is compressed in its part '.*data\.pkl'"):
        read_training_state(path)


def test_archives_of_something_else_are_refused(tmp_path):
    path = tmp_path / "model_state.pt"
    for names in (["readme.txt"], ["a/data.pkl", "b/data.pkl"], ["a/b/data.pkl"]):
        with zipfile.ZipFile(path, "w") as file:
            for member in names:
                file.writestr(member, b"N.")
        with pytest.raises(CheckpointError, match=r"no single data\.pkl"):
            read_training_state(path)


@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "Git LFS pointer"),
        (b"\n<!DOCTYPE html><html>login</html>", "a web page"),
        (b"PK\x03\x04 and then nothing", "is cut off or no PyTorch weight file .* get it again"),
    ],
)
def test_what_came_instead_of_weights_is_named(tmp_path, content, phrase):
    path = tmp_path / "model_state.pt"
    path.write_bytes(content)
    for read in (read_training_state, read_state_dict):
        with pytest.raises(CheckpointError, match=phrase):
            read(path)


def test_truncated_and_damaged_training_states_are_refused(archive):
    path = archive(state())
    data = bytearray(path.read_bytes())
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match="cut off"):
        read_training_state(path)
    data[data.index(NUMBERS.tobytes()) + 5] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"damaged in its part 'model_state/data/0'"):
        read_training_state(path)


def test_prefix_of_compiled_modules_is_taken_off_wherever_it_is(archive):
    keys = ["_orig_mod.a", "core._orig_mod.blocks.0._orig_mod.weight", "x_orig_mod.y"]
    found, _ = read_training_state(archive(state(ordered(**dict.fromkeys(keys, tensor())))))
    assert list(found) == ["a", "core.blocks.0.weight", "x_orig_mod.y"]


def test_plain_and_compiled_weights_of_one_name_are_refused():
    twice = {"core.weight": torch.zeros(1), "core._orig_mod.weight": torch.ones(1)}
    with pytest.raises(CheckpointError, match=r"run.pt holds 'core.weight' twice"):
        strip_compile_prefix(twice, source="run.pt")
