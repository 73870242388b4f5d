"""The real client of the Hugging Face hub against a hub on the loopback interface."""

import dataclasses
import socket
from pathlib import Path

import pytest
from hub_server import COMMIT, OTHER_COMMIT, REPOSITORY, TOKEN, running_hub, sha256
from huggingface_hub import constants

from insilico.errors import DownloadError
from insilico.models.huggingface import Access, fetch_run, recorded
from insilico.models.published import HubWeights

ARGUMENTS = b"core: vivit\n"
STATE = bytes(range(256)) * 4000
FILES = {
    "README.md": b"# Networks\n",
    "seed-1/args.yaml": ARGUMENTS,
    "seed-1/ckpt/model.pt": STATE,
    "seed-1/ckpt/info.yaml": b"epoch: 7\n",
    "seed-1/ckpt/optimizer.pt": b"not needed",
}
RUN = {
    "args.yaml": ARGUMENTS,
    "ckpt/model.pt": STATE,
    "ckpt/info.yaml": b"epoch: 7\n",
}
UNPINNED = HubWeights(REPOSITORY)
PINNED = HubWeights(
    REPOSITORY,
    revision=COMMIT,
    folder="seed-1",
    files=tuple(RUN),
    sha256={file: sha256(data) for file, data in RUN.items()},
)


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path):
    """No proxy, no token and no setting of whoever runs the tests."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)


@pytest.fixture
def hub():
    with running_hub(FILES) as running:
        yield running


@pytest.fixture
def access(hub, tmp_path):
    return Access(tmp_path / "cache", hub.url)


def kept(folder):
    """Files in the cache, but for the lock."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    )


def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def downloads(hub):
    return [path.rpartition("/")[2] for path, _ in hub.requests if "/resolve/" in path]


def test_pinned_run_is_downloaded_once_and_needs_no_network_afterwards(hub, access):
    run = fetch_run(PINNED, "network", access=access)
    assert content(run.path) == RUN
    assert run.is_pinned
    assert run.record.sha256 == PINNED.sha256
    assert downloads(hub) == ["args.yaml", "model.pt", "info.yaml"]
    count = len(hub.requests)
    assert fetch_run(PINNED, "network", access=access) == run
    assert len(hub.requests) == count


def test_request_says_who_asks_and_nothing_about_the_computer(hub, access):
    fetch_run(PINNED, "network", access=access)
    for _, headers in hub.requests:
        assert headers["user-agent"].startswith("insilico/")
        assert "torch" not in headers["user-agent"]
        assert "authorization" not in headers


def test_entry_without_pins_needs_a_revision_and_is_recorded(hub, access):
    with pytest.raises(DownloadError, match=r"insilico does not pin network: .*--revision main"):
        fetch_run(UNPINNED, "network", access=access)
    assert hub.requests == []
    run = fetch_run(UNPINNED, "network", revision="main", access=access)
    assert content(run.path) == RUN
    assert not run.is_pinned
    assert (run.record.revision, run.record.commit, run.record.folder) == ("main", COMMIT, "seed-1")
    assert run.record.sha256 == PINNED.sha256
    assert recorded(UNPINNED, "network", cache=access.cache) == run.record
    count = len(hub.requests)
    assert fetch_run(UNPINNED, "network", access=access) == run
    assert len(hub.requests) == count


def test_later_pull_of_other_bytes_is_refused_and_the_first_ones_stay(hub, access):
    first = fetch_run(UNPINNED, "network", revision="main", access=access)
    hub.branches["main"] = OTHER_COMMIT
    hub.commits[OTHER_COMMIT] = FILES | {"seed-1/ckpt/model.pt": STATE[::-1]}
    count = len(downloads(hub))
    with pytest.raises(DownloadError, match=r"offers another ckpt/model.pt than the one"):
        fetch_run(UNPINNED, "network", revision="main", access=access)
    assert len(downloads(hub)) == count  # the declared hash alone was enough
    assert fetch_run(UNPINNED, "network", access=access) == first
    hub.commits[OTHER_COMMIT] = FILES | {"seed-1/args.yaml": b"core: fcnn\n"}
    with pytest.raises(DownloadError, match=r"offers another args.yaml .*network.toml"):
        fetch_run(UNPINNED, "network", revision="main", access=access)
    assert not [
        path
        for path in access.cache.rglob("*")
        if OTHER_COMMIT in str(path / "x") and path.is_file()
    ]


def test_later_commit_with_the_same_bytes_is_accepted(hub, access):
    first = fetch_run(UNPINNED, "network", revision="main", access=access)
    hub.branches["main"] = OTHER_COMMIT
    hub.commits[OTHER_COMMIT] = FILES | {"README.md": b"# More\n"}
    later = fetch_run(UNPINNED, "network", revision="main", access=access)
    assert later.record == first.record
    assert content(later.path) == RUN


def test_same_commit_that_sends_other_bytes_is_refused_after_the_cache_was_emptied(hub, access):
    run = fetch_run(UNPINNED, "network", revision="main", access=access)
    for file in RUN:
        (run.path / file).unlink()
    hub.commits[COMMIT] = FILES | {"seed-1/ckpt/info.yaml": b"epoch: 8\n"}
    with pytest.raises(DownloadError, match=r"offers another ckpt/info.yaml"):
        fetch_run(UNPINNED, "network", access=access)
    assert not (run.path / "ckpt/info.yaml").exists()


def test_interrupted_download_goes_on_where_it_stopped(hub, access):
    chunk = constants.DOWNLOAD_CHUNK_SIZE  # what the client writes at once
    state = bytes(range(256)) * (chunk // 200)
    hub.commits[COMMIT] |= {"seed-1/ckpt/model.pt": state}
    hub.cut["seed-1/ckpt/model.pt"] = chunk + 1000
    with pytest.raises(DownloadError, match=rf"cut off after {chunk:,} bytes; run the same"):
        fetch_run(UNPINNED, "network", revision="main", access=access)
    [partial] = access.cache.rglob("*.incomplete")
    assert partial.read_bytes() == state[:chunk]
    hub.status = None
    hub.requests.clear()
    run = fetch_run(UNPINNED, "network", revision="main", access=access)
    asked = {path.rpartition("/")[2]: headers.get("range") for path, headers in hub.requests}
    # The listing, and what is missing of the two files; args.yaml was complete.
    assert asked == {"main": None, "model.pt": f"bytes={chunk}-", "info.yaml": None}
    assert content(run.path) == RUN | {"ckpt/model.pt": state}


def test_file_that_ends_early_is_one_sentence_and_goes_on_later(hub, access):
    hub.short["seed-1/ckpt/model.pt"] = 1000
    with pytest.raises(DownloadError, match=r"cut off after 1,000 bytes; run the same command"):
        fetch_run(PINNED, "network", access=access)
    assert content(fetch_run(PINNED, "network", access=access).path) == RUN
    assert [headers["range"] for _, headers in hub.requests if "range" in headers] == [
        "bytes=1000-"
    ]


def test_incomplete_file_longer_than_the_file_starts_again(hub, access):
    partial = (
        access.cache / f"huggingface/laboratory--networks/{COMMIT}/seed-1/args.yaml.incomplete"
    )
    partial.parent.mkdir(parents=True)
    partial.write_bytes(ARGUMENTS * 2)
    assert content(fetch_run(PINNED, "network", access=access).path) == RUN


@pytest.mark.parametrize("weights", [PINNED, UNPINNED])
@pytest.mark.parametrize("file", ["seed-1/args.yaml", "seed-1/ckpt/model.pt"])
def test_tampered_file_is_refused_and_deleted(hub, access, weights, file):
    hub.tampered.add(file)
    with pytest.raises(DownloadError, match=r"not the one it declares, so it was deleted"):
        fetch_run(weights, "network", revision=weights.revision or "main", access=access)
    assert not [path for path in kept(access.cache) if file in path]
    assert recorded(UNPINNED, "network", cache=access.cache) is None


def test_hub_that_holds_other_bytes_than_the_pinned_is_refused_before_a_download(hub, access):
    hub.commits[COMMIT] = FILES | {"seed-1/ckpt/model.pt": STATE[::-1]}
    with pytest.raises(DownloadError, match=r"not the pinned .* do not use it"):
        fetch_run(PINNED, "network", access=access)
    assert downloads(hub) == []
    hub.commits[COMMIT] = FILES | {"seed-1/args.yaml": b"core: fcnn\n"}  # not in large-file storage
    with pytest.raises(DownloadError, match=r"args.yaml whose SHA-256 is not the pinned"):
        fetch_run(PINNED, "network", access=access)
    assert kept(access.cache) == []


def test_damaged_file_in_the_cache_is_downloaded_again(hub, access):
    run = fetch_run(PINNED, "network", access=access)
    (run.path / "ckpt/model.pt").write_bytes(b"damaged")
    hub.requests.clear()
    assert content(fetch_run(PINNED, "network", access=access).path) == RUN
    assert downloads(hub) == ["model.pt"]


def test_no_network_is_one_sentence_and_leaves_nothing(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        access = Access(tmp_path / "cache", f"http://127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(DownloadError, match=r"cannot be reached; check the network"):
            fetch_run(PINNED, "network", access=access)
    assert not access.cache.exists()


def test_offline_uses_the_cache_and_else_says_so(hub, access):
    closed = dataclasses.replace(access, offline=True)
    for weights in (PINNED, UNPINNED):
        with pytest.raises(DownloadError, match=r"is not in the cache .* without --offline"):
            fetch_run(weights, "network", revision=weights.revision or "main", access=closed)
    assert not access.cache.exists()
    fetch_run(UNPINNED, "network", revision="main", access=access)
    hub.requests.clear()
    for revision in (None, "main", COMMIT):
        assert content(fetch_run(UNPINNED, "network", revision=revision, access=closed).path) == RUN
    with pytest.raises(DownloadError, match=r"network at 'v2' is not in the cache"):
        fetch_run(UNPINNED, "network", revision="v2", access=closed)
    assert hub.requests == []


def test_offline_variable_of_the_hub_is_respected(hub, access, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadError, match=r"is not in the cache .* and HF_HUB_OFFLINE"):
        fetch_run(PINNED, "network", access=access)
    assert hub.requests == []


def test_private_repository_needs_a_token_that_is_never_shown(hub, access, monkeypatch, capsys):
    hub.is_private = True
    with pytest.raises(DownloadError, match=r"is private \(HTTP 401\).*hf auth login.*HF_TOKEN"):
        fetch_run(PINNED, "network", access=access)
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody_else")
    with pytest.raises(DownloadError) as caught:
        fetch_run(PINNED, "network", access=access)
    assert "hf_of" not in str(caught.value)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert content(fetch_run(PINNED, "network", access=access).path) == RUN
    shown = capsys.readouterr()
    assert TOKEN not in shown.out + shown.err + "".join(kept(access.cache))


def test_token_does_not_follow_a_redirect_to_another_host(hub, access, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.is_private = True
    with running_hub(FILES) as store:
        hub.redirect = store.url
        assert content(fetch_run(PINNED, "network", access=access).path) == RUN
        assert len(store.requests) == len(RUN)
        assert not any("authorization" in headers for _, headers in store.requests)


@pytest.mark.parametrize(
    ("status", "phrase"),
    [
        (403, r"closed to this account \(HTTP 403\); ask for access"),
        (404, r"has not the revision .*HTTP 404"),
        (429, r"asked too often \(HTTP 429\); wait"),
        (500, r"HTTP status 500 .*try again later"),
    ],
)
def test_refusal_of_the_hub_is_one_sentence(hub, access, status, phrase):
    hub.status = status
    with pytest.raises(DownloadError, match=phrase) as caught:
        fetch_run(PINNED, "network", access=access)
    assert "\n" not in str(caught.value)
    assert kept(access.cache.parent) == []


def test_unknown_revision_and_repository_are_refused(access):
    with pytest.raises(DownloadError, match=r"has not the revision 'v2'"):
        fetch_run(UNPINNED, "network", revision="v2", access=access)
    with pytest.raises(DownloadError, match=r"laboratory/nothing has not the revision 'main', or"):
        fetch_run(HubWeights("laboratory/nothing"), "network", revision="main", access=access)


@pytest.mark.parametrize("answer", [b"<html>Welcome to the hotel</html>", b"[]", b"{}"])
def test_login_page_before_the_network_is_recognized(hub, access, answer):
    hub.answer = answer
    with pytest.raises(DownloadError, match=r"no list of files|with the commit None"):
        fetch_run(PINNED, "network", access=access)


def test_several_run_folders_are_listed_and_one_is_chosen_by_name(hub, access):
    hub.commits[COMMIT] |= {"seed-2/args.yaml": b"2", "seed-2/ckpt/model_state.pt": b"state"}
    with pytest.raises(
        DownloadError, match=r"2 run folders; choose one with --folder: seed-1, seed-2"
    ):
        fetch_run(UNPINNED, "network", revision="main", access=access)
    with pytest.raises(DownloadError, match=r"no run folder 'seed-3'; its run folders: seed-1, "):
        fetch_run(UNPINNED, "network", revision="main", folder="seed-3", access=access)
    run = fetch_run(UNPINNED, "network", revision="main", folder="seed-2", access=access)
    assert content(run.path) == {"args.yaml": b"2", "ckpt/model_state.pt": b"state"}
    with pytest.raises(DownloadError, match=r"first pulled from the run folder 'seed-2'"):
        fetch_run(UNPINNED, "network", folder="seed-1", access=access)
    named = HubWeights(REPOSITORY, folder="seed-1")
    run = fetch_run(named, "other", revision="main", access=access)
    assert content(run.path) == RUN
    with pytest.raises(DownloadError, match=r"is the run folder 'seed-1' .*leave --folder out"):
        fetch_run(named, "other", folder="seed-2", access=access)


def test_run_in_the_root_and_files_by_name(hub, access):
    hub.commits[COMMIT] = {"args.yaml": b"1", "ckpt/model.pt": b"2", "notes.txt": b"3"}
    run = fetch_run(UNPINNED, "network", revision="main", access=access)
    assert content(run.path) == {"args.yaml": b"1", "ckpt/model.pt": b"2"}
    named = HubWeights(REPOSITORY, folder=".", files=("args.yaml", "notes.txt"))
    run = fetch_run(named, "other", revision="main", access=access)
    assert run.record.sha256.keys() == {"args.yaml", "notes.txt"}
    missing = HubWeights(REPOSITORY, folder=".", files=("gone.pt",))
    with pytest.raises(DownloadError, match=r"has no gone.pt at the commit"):
        fetch_run(missing, "third", revision="main", access=access)


def test_repository_without_a_run_folder_says_what_is_there(hub, access):
    hub.commits[COMMIT] = {"runs.zip": b"", "README.md": b""}
    with pytest.raises(DownloadError, match=r"no run folder .* but README.md, runs.zip; check"):
        fetch_run(UNPINNED, "network", revision="main", access=access)


def test_file_names_that_lead_out_of_the_cache_are_passed_over(hub, access):
    hub.commits[COMMIT] = {"../../args.yaml": b"1", "../../ckpt/model.pt": b"2"}
    with pytest.raises(DownloadError, match=r"no run folder"):
        fetch_run(UNPINNED, "network", revision="main", access=access)
    assert kept(access.cache.parent) == []


def test_pinned_entry_refuses_another_revision(access):
    with pytest.raises(DownloadError, match=r"pinned to the commit a.*leave --revision out"):
        fetch_run(PINNED, "network", revision="main", access=access)


def test_damaged_record_is_refused(access):
    fetch_run(UNPINNED, "network", revision="main", access=access)
    [path] = access.cache.rglob("network.toml")
    path.write_text("commit = 3", encoding="utf-8")
    with pytest.raises(
        DownloadError, match=r"record of what was downloaded, is damaged; delete it"
    ):
        fetch_run(UNPINNED, "network", access=access)


def test_cache_that_cannot_be_written_is_one_sentence(hub, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DownloadError, match=r"cannot be written .* give another folder"):
        fetch_run(PINNED, "network", access=Access(tmp_path / "file", hub.url))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_full_disk_is_one_sentence(hub, access):
    folder = access.cache / f"huggingface/laboratory--networks/{COMMIT}/seed-1"
    folder.mkdir(parents=True)
    (folder / "args.yaml.incomplete").symlink_to("/dev/full")
    with pytest.raises(
        DownloadError, match=r"cannot be written \(No space left on device\); make room"
    ):
        fetch_run(PINNED, "network", access=access)


def test_run_larger_than_the_disk_is_refused_before_the_download(hub, access, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("insilico.models.huggingface.files.shutil.disk_usage", lambda _: usage)
    with pytest.raises(DownloadError, match=r"needs 1.0 MB and .* has 0.0 MB left"):
        fetch_run(PINNED, "network", access=access)
    assert downloads(hub) == []


def test_progress_is_drawn_on_stderr_only_and_the_client_says_nothing(hub, access, capsys):
    fetch_run(PINNED, "network", access=dataclasses.replace(access, progress=True))
    assert capsys.readouterr().out == ""
    fetch_run(UNPINNED, "network", revision="main", access=access)
    assert capsys.readouterr().err == ""
