"""An archive that was cut short or changed gives nothing: it is refused at the first file that is not as it was written."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from passerelle.errors import IntegrityError, PasserelleError, SignatureError
from passerelle.model.verify import check_signature
from passerelle.registry.sign import sign
from passerelle.rollout.offline_archive import CONTENTS, IMAGES, SIGNED_AS, Contents, digests_below, take_out, write_archive
from passerelle.rollout.wheel_folder import why
from passerelle.settings import SigningSettings
from tests.signing_fixtures import Keys

FILES = {IMAGES: b"layers" * 5_000, "wheels/a-1.0-py3-none-any.whl": b"wheel a", "wheels/b-2.0+x-py3-none-any.whl": b"wheel b"}


def written(folder: Path, signing: SigningSettings | None = None) -> Path:
    content = folder / "content"
    for name, data in FILES.items():
        (content / name).parent.mkdir(parents=True, exist_ok=True)
        (content / name).write_bytes(data)
    contents = Contents("0.1.0", "amd64", "3.11", {"passerelle/mlflow:1": "sha256:00"}, digests_below(content))
    path = folder / "offline.tar"
    write_archive(path, content, contents, sign(contents.as_json(), signing, run_id=SIGNED_AS) if signing else None)
    return path


def taken(path: Path, folder: Path, check: Callable[[Contents, str | None], None] = lambda *_: None) -> dict[str, bytes]:
    folder.mkdir()
    take_out(path, folder, check)
    return {each.relative_to(folder).as_posix(): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def test_what_was_written_is_taken_out(tmp_path: Path) -> None:
    assert taken(written(tmp_path), tmp_path / "out") == FILES


def test_the_same_files_give_the_same_archive(tmp_path: Path) -> None:
    first = written(tmp_path).read_bytes()
    (tmp_path / "offline.tar").unlink()
    assert written(tmp_path).read_bytes() == first


def test_cut_short_anywhere_it_is_refused(tmp_path: Path) -> None:
    whole = written(tmp_path).read_bytes()
    with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
        last = max(member.offset_data + member.size for member in archive)
    for place, length in enumerate([0, 1, 511, 512, 600, 3_000, *range(4_096, last, 2_048), last - 1]):
        (cut := tmp_path / f"{place}.tar").write_bytes(whole[:length])
        with pytest.raises(IntegrityError, match="nothing of it was used"):
            taken(cut, tmp_path / f"out-{place}")


def test_a_changed_byte_of_any_file_is_found(tmp_path: Path) -> None:
    whole = written(tmp_path).read_bytes()
    with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
        places = {member.name: member.offset_data for member in archive}
    assert set(places) == {CONTENTS, *FILES}
    for number, place in enumerate(places.values()):
        changed = bytearray(whole)
        changed[place + 3] ^= 1
        (tmp_path / f"{number}.tar").write_bytes(changed)
        with pytest.raises(IntegrityError, match="cut short or changed"):
            taken(tmp_path / f"{number}.tar", tmp_path / f"out-{number}")


def rebuilt(path: Path, change: Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes] | None]) -> Path:
    """Return the archive with each file changed, left out, or as it was."""
    new = path.with_suffix(".new")
    with tarfile.open(path) as source, tarfile.open(new, "w") as target:
        for member in source:
            file = source.extractfile(member)
            changed = change(member, file.read() if file else b"")
            if changed is not None:
                changed[0].size = len(changed[1])
                target.addfile(changed[0], io.BytesIO(changed[1]))
    return new


def _says(text: str, other: str) -> Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes]]:
    return lambda member, data: (member, data.replace(text.encode(), other.encode()) if member.name == CONTENTS else data)


def _linked(member: tarfile.TarInfo, data: bytes) -> tuple[tarfile.TarInfo, bytes]:
    if member.name == IMAGES:
        member.type, member.linkname, data = tarfile.SYMTYPE, "/etc/passwd", b""
    return member, data


@pytest.mark.parametrize(
    "change",
    [
        _says("wheels/a-1.0", f"{os.pardir}/a-1.0"),
        _says("wheels/a-1.0", "/a-1.0"),
        _says('"format": 1', '"format": 2'),
        _says("sha256:", "md5:"),
        _says('"size_bytes": 7', '"size_bytes": -1'),
        _says("{", "["),
        _linked,
        lambda member, data: None if member.name == IMAGES else (member, data),
    ],
)
def test_one_that_says_what_no_archive_says_is_refused(
    tmp_path: Path, change: Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes] | None]
) -> None:
    with pytest.raises(IntegrityError):
        taken(rebuilt(written(tmp_path), change), tmp_path / "out")
    assert not (tmp_path.parent / "a-1.0-py3-none-any.whl").exists()


def test_a_further_file_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path)
    with tarfile.open(path, "a") as archive:
        archive.addfile(tarfile.TarInfo("wheels/c.whl"))
    with pytest.raises(IntegrityError, match="of which it does not say"):
        taken(path, tmp_path / "out")


def test_the_signature_is_for_what_the_archive_holds(tmp_path: Path, ours: Keys, theirs: Keys) -> None:
    path = written(tmp_path, SigningSettings(signing_key=ours.private))

    def by(key: Path) -> Callable[[Contents, str | None], None]:
        def check(contents: Contents, found: str | None) -> None:
            check_signature(contents.as_json(), found, SigningSettings(verify_key=key), of="it", run_id=SIGNED_AS)

        return check

    assert taken(path, tmp_path / "ours", by(ours.public)) == FILES
    with pytest.raises(SignatureError):
        taken(path, tmp_path / "theirs", by(theirs.public))
    other = rebuilt(path, _says("passerelle/mlflow:1", "passerelle/mlflow:2"))
    with pytest.raises(SignatureError):
        taken(other, tmp_path / "other", by(ours.public))
    assert not list((tmp_path / "other").iterdir()), "nothing is written before the signature is checked"
    with pytest.raises(PasserelleError):
        taken(tmp_path, tmp_path / "folder")


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "another file than the one that was locked"),
        ("SSLError(... CERTIFICATE_VERIFY_FAILED ...)", "PIP_CERT or REQUESTS_CA_BUNDLE"),
        ("ERROR: No matching distribution found for click==8.1 (from -r requirements.txt)", "lists no wheel of click==8.1 that was locked"),
        ("ERROR: 401 Error for URL: https://team:secret@mirror.example/simple", "pip did not get the wheels: ERROR: 401 Error for URL:"),
        ("", "it said nothing"),
    ],
)
def test_what_pip_says_becomes_a_sentence_without_the_address_of_the_index(output: str, words: str) -> None:
    assert words in why(output)
    assert "secret" not in why(output)
    assert json.dumps(why(output))
