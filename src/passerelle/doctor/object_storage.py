"""The S3 of the artifacts and of the ledger, by how it behaves."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import nullcontext, suppress

from passerelle.doctor.diagnosis import Diagnosis, Health, Surroundings, fine
from passerelle.errors import OutsideError
from passerelle.registry.s3_behaviour import PAGE, S3Behaviour

NAME = "S3"
#: S3 refuses requests whose date is off by 15 minutes.
_MOST_SKEW_S, _SOME_SKEW_S = 300.0, 30.0
#: Below it, nothing of anybody's lies.
_FOLDER = ".passerelle/doctor"
_NEEDS_WRITES = "passerelle doctor --write-test"


def probe(here: Surroundings) -> Iterator[Diagnosis]:
    """Say what of the S3 is not as passerelle needs it."""
    if not here.names_s3:
        yield Diagnosis(NAME, Health.NOT_TRIED, "no S3 is named; the embedded platform brings one", hint="passerelle up")
        return
    s3 = S3Behaviour(here.s3)
    s3.check()
    where = here.s3.endpoint_url or "AWS"
    yield fine(NAME, f"the bucket {here.s3.bucket} answers to this key at {where}")
    yield _clock(s3.clock_skew_s())
    if not here.write_test:
        yield _listing(*s3.listing())
    yield _versioning(s3, here)
    yield from _rights(s3, here)
    if here.write_test:
        yield from _writes(s3, here)
    else:
        yield Diagnosis("S3 writes", Health.NOT_TRIED, "conditional writes and uploads in parts need a write", hint=_NEEDS_WRITES)


def _clock(skew_s: float) -> Diagnosis:
    name = "S3 clock"
    message = f"its clock and this machine's differ by {abs(skew_s):.0f} s"
    if abs(skew_s) > _MOST_SKEW_S:
        return Diagnosis(name, Health.FAULT, f"{message}; requests are refused from 15 minutes on", hint="sudo timedatectl set-ntp true")
    if abs(skew_s) > _SOME_SKEW_S:
        return Diagnosis(name, Health.WARNING, message, hint="sudo timedatectl set-ntp true")
    return fine(name, message)


def _listing(count: int, same: bool) -> Diagnosis:
    name = "S3 listing"
    if not same:
        return Diagnosis(name, Health.FAULT, "page by page it lists other objects than at once: entries of the ledger would be missed")
    if count <= PAGE:
        return Diagnosis(name, Health.NOT_TRIED, "the bucket holds too few objects for a second page", hint=_NEEDS_WRITES)
    return fine(name, f"the first {count} objects are the same ones page by page")


def _versioning(s3: S3Behaviour, here: Surroundings) -> Diagnosis:
    name, found = "S3 versions", s3.versioning()
    if found == "Enabled":
        return fine(name, f"the bucket {here.s3.bucket} keeps former versions of its objects")
    if found is None:
        message = "this S3 keeps no former versions, or this key may not ask: backups alone bring objects back"
        return Diagnosis(name, Health.WARNING, message)
    message = f"former versions are not kept ({found}): what is overwritten or deleted is gone"
    return Diagnosis(name, Health.WARNING, message, hint=_versions_on(here.s3.bucket))


def _versions_on(bucket: str) -> str:
    on = "VersioningConfiguration={'Status': 'Enabled'}"
    return f"python -c \"import boto3; boto3.client('s3').put_bucket_versioning(Bucket='{bucket}', {on})\""


def _rights(s3: S3Behaviour, here: Surroundings) -> Iterator[Diagnosis]:
    name = "S3 rights"
    if s3.is_public():
        yield Diagnosis(name, Health.FAULT, f"everybody may list the bucket {here.s3.bucket} without a key", hint=_private(here.s3.bucket))
        return
    # The key of the artifacts may be that of the prediction log, which `erase` and `collect` need it for.
    others = [name for name in s3.other_buckets() if name != here.environment.get("PASSERELLE_LOG_BUCKET")]
    if others and not here.embedded:
        number = f"{len(others)} other bucket" + ("" if len(others) == 1 else "s")
        message = f"this key may also list {number} ({', '.join(others[:3])}); one for {here.s3.bucket} alone is enough"
        yield Diagnosis(name, Health.WARNING, message)
        return
    yield fine(name, "the bucket cannot be listed without a key" + ("" if here.embedded else ", nor another bucket with this one"))


def _private(bucket: str) -> str:
    return f"python -c \"import boto3; boto3.client('s3').delete_bucket_policy(Bucket='{bucket}')\""


def _writes(s3: S3Behaviour, here: Surroundings) -> Iterator[Diagnosis]:
    for_good, failed = list[bool](), False
    folder = f"{_FOLDER}/{secrets.token_hex(8)}"
    key, parts, listed = f"{folder}/conditions", f"{folder}/parts", [f"{folder}/list/{number:02}" for number in range(2 * PAGE + 2)]
    try:
        for each in listed:
            s3.create(each, b"")
        yield _listing(*s3.listing(f"{folder}/list/"))
        ignored = s3.ignored_conditions(key)
        if ignored:
            message = f"it writes whatever {' and '.join(ignored)} asks for: two promotions at once would overwrite each other's entry"
            yield Diagnosis("S3 conditional writes", Health.FAULT, message)
        else:
            yield fine("S3 conditional writes", "If-None-Match and If-Match are kept to")
        if s3.takes_parts(parts):
            yield fine("S3 uploads in parts", "an object in two parts is read as it was sent")
        else:
            yield Diagnosis("S3 uploads in parts", Health.FAULT, "an object in two parts is not read as it was sent")
    except OutsideError as error:
        failed = True
        yield Diagnosis("S3 writes", Health.FAULT, error.message, error.hint)
    finally:
        # A key that may not write may not remove either, which is no second fault.
        with suppress(OutsideError) if failed else nullcontext():
            for_good = [s3.remove_all_versions(each) for each in (key, parts, *listed)]
    if any(for_good) and not here.embedded:
        message = "this key may remove former versions for good, the ledger's too; a key without s3:DeleteObjectVersion cannot"
        yield Diagnosis("S3 rights", Health.WARNING, message)
