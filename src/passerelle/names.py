"""The names that several stages use, and the conversions between them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from passerelle.errors import UsageError

#: The prefix of every tag and label of passerelle.
PREFIX: Final = "passerelle."

# Tags of a run. Registration copies them to the version, import to the bento model's labels, from there to the bento and the image.
KIND: Final = PREFIX + "kind"
CANDIDATE: Final = PREFIX + "candidate"
CODE_DIGEST: Final = PREFIX + "code_digest"
#: Of a bento: the git commit of the serving code, with `-dirty` where its files differ from it. That of the training is GIT_COMMIT.
CODE_REVISION: Final = PREFIX + "code_revision"
DATA_DIGEST: Final = PREFIX + "data_digest"
DATA_SOURCE: Final = PREFIX + "data_source"
#: On a training from a file that `passerelle feedback export` wrote: the digest of the ids of its answers.
DATA_EXPORT: Final = PREFIX + "data_export"
#: On a training without rare classes: the fewest distinct rows of a class that stayed, and the class that the others were put together as.
MIN_CLASS_ROWS: Final = PREFIX + "min_class_rows"
OTHER_CLASS: Final = PREFIX + "other_class"
#: In the metadata of the MLmodel file: fields of texts that a record may leave out, in whose place the model was given an empty text.
OPTIONAL_TEXTS: Final = PREFIX + "optional_texts"
#: Which rows a training held out, as a number; a training without it divided its rows by its seed.
HELD_OUT_SET: Final = PREFIX + "held_out_set"
#: The reference test set whose near-duplicates a training left out.
REFERENCE_DIGEST: Final = PREFIX + "reference_digest"
GIT_COMMIT: Final = PREFIX + "git_commit"
GIT_DIRTY: Final = PREFIX + "git_dirty"
LANGUAGE: Final = PREFIX + "language"
SEED: Final = PREFIX + "seed"
TASK: Final = PREFIX + "task"
#: On a training's own run: the names of its candidates, with commas between, and as JSON those that could not be fitted.
CANDIDATES: Final = PREFIX + "candidates"
FAILED_CANDIDATES: Final = PREFIX + "failed_candidates"

# Tags of a version.
ARTIFACT_DIGEST: Final = PREFIX + "artifact_digest"
BUNDLE_DIGEST: Final = PREFIX + "bundle_digest"
CRITERIA_DIGEST: Final = PREFIX + "criteria_digest"
GOLDEN_DIGEST: Final = PREFIX + "golden_digest"
#: Whether the model is registered with the scorer that it compiles to, and is served without scikit-learn.
COMPILED: Final = PREFIX + "compiled"
#: On a version that the demo registered.
MADE_BY_DEMO: Final = PREFIX + "demo"
#: On a version that was registered with a key: a signature that is missing afterwards was deleted.
SIGNED: Final = PREFIX + "signed"
#: The project that registered it.
PROJECT: Final = PREFIX + "project"
#: On a version whose model is a pickle, which somebody trusted in development.
TRUSTED_PICKLE: Final = PREFIX + "trusted_pickle"
#: On a version that was adopted: the run that holds what passerelle keeps of it, in place of the run that logged the model.
ADOPTION_RUN: Final = PREFIX + "adoption_run"
#: Where the inputs of an adopted version's golden predictions come from.
GOLDEN_ORIGIN: Final = PREFIX + "golden_origin"
#: The flavor that an adopted version is read by; a label of its image too.
FLAVOR: Final = PREFIX + "flavor"
#: Digest of the options that a version was adopted with.
ADOPTION_OPTIONS: Final = PREFIX + "adoption_options"
#: On a version that `convert` made: the version that it was made of, that one's digest, and the form.
CONVERTED_FROM: Final = PREFIX + "converted_from"

#: What the gate said of a version last.
VERDICT: Final = PREFIX + "verdict"
#: Holds all of the above but what people filter by, as JSON.
VERSION_RECORD: Final = PREFIX + "record"
#: In the record: digest of the description that passerelle wrote; one that a person edited has another.
DESCRIPTION_DIGEST: Final = PREFIX + "description_digest"

# Of a run, besides: what an adoption was made of.
MODEL_SOURCE: Final = PREFIX + "model_source"
#: Experiment of the runs of adoptions.
ADOPTIONS: Final = "passerelle-adoptions"

# Tags of a registered model: number and digest of a ledger entry.
LEDGER_PREFIX: Final = PREFIX + "ledger_"
#: The last entry; on a version, the entry that last moved it, or that undid a move and left it in production.
LEDGER_ENTRY: Final = LEDGER_PREFIX + "entry"
#: Begins the parameters of the runs of the versions that an entry moved, which hold its digest, by its number.
ENTRY_PARAM: Final = LEDGER_ENTRY + "."
#: The last entry about a candidate; on a version, the one that made it the candidate or ended that.
LEDGER_CANDIDATE: Final = LEDGER_PREFIX + "candidate"
#: The last entry about an erasure from the prediction log.
LEDGER_ERASURE: Final = LEDGER_PREFIX + "erasure"
#: The entry that is about to be written.
LEDGER_ANNOUNCED: Final = LEDGER_PREFIX + "announced"

# Of a version: number and digest of the last look at a test set next to it, while it is in production.
LOOKS: Final = LEDGER_PREFIX + "looks"
#: Begins the parameters of its run that hold the digest of each such look, by its number.
LOOK_PARAM: Final = LEDGER_PREFIX + "look."

# Labels of a bento model, a bento and an image, beside those that come from the tags above.
REGISTERED_MODEL_LABEL: Final = PREFIX + "registered_model"
VERSION_LABEL: Final = PREFIX + "version"
#: Of the image of an adopted model: whether reading it runs code of its files, and the digest of the locked requirements that its own
#: environment was made from.
PICKLED: Final = PREFIX + "pickled"
MODEL_REQUIREMENTS: Final = PREFIX + "model_requirements"
RUN_ID_LABEL: Final = PREFIX + "run_id"

# Labels of an image.
BENTO_TAG_LABEL: Final = PREFIX + "bento_tag"
INPUTS_DIGEST_LABEL: Final = PREFIX + "inputs_digest"
#: What the annotations that the OCI image specification names begin with.
OCI_PREFIX: Final = "org.opencontainers.image."

# Paths of the service that classify, as its routes, its metrics and its clients name them.
CLASSIFY: Final = "/classify"
CLASSIFY_BATCH: Final = "/classify/batch"
#: In their place, for a model that is no classifier.
PREDICT: Final = "/predict"
PREDICT_BATCH: Final = "/predict/batch"
FEEDBACK: Final = "/feedback"
#: Header of a request that replays a golden input.
GOLDEN_REPLAY_HEADER: Final = "X-Golden-Replay"
#: What such requests count for in the metrics.
GOLDEN_ROUTE: Final = "golden"
#: What classifies by a foreign protocol, as the metrics name it.
INFER_ROUTE: Final = "/v2/infer"
PREDICT_V1_ROUTE: Final = "/v1/predict"
INVOCATIONS_ROUTE: Final = "/invocations"

#: MLflow's own tag for the run that a run is part of.
PARENT_RUN: Final = "mlflow.parentRunId"

#: Parameters of a run, which MLflow does not allow to be changed, hold the digest of each logged file: this prefix and its path.
DIGEST_PARAM: Final = "digest."
#: Parameter of a candidate's run: digest of the figures that training logged.
FIGURES_PARAM: Final = "figures_digest"
#: In the place of a path, all files of the model as they were logged.
LOGGED_MODEL: Final = "model"

# Files among a run's artifacts, and beside the model in a bento model's directory.
GOLDEN: Final = "golden.json"
PER_CLASS: Final = "per_class.json"
#: The labelled rows that a training held out, on the parent run.
HELD_OUT: Final = "data/held_out.parquet"
#: Which rows a training learned from, on the parent run.
TRAIN_HASHES: Final = "data/train_hashes.json"
#: What is said of the export that a training learned from, on the parent run.
DATA_EXPORT_FILE: Final = "data/export.json"
#: Where the version and the one in production label a table differently, on the version's run.
TABLE_DIFFERENCES: Final = "gate/table_differences.json"
#: The labelled rows that an operator gave the gate to judge a version by, and what is recorded of them, on the version's run.
GIVEN_ROWS: Final = "gate/given_rows.parquet"
GIVEN_ROWS_RECORD: Final = "gate/given_rows.json"
MANIFEST_FILE: Final = "manifest.json"
SIGNATURE_FILE: Final = "manifest.sig"
MANIFEST: Final = f"passerelle/{MANIFEST_FILE}"
SIGNATURE: Final = f"passerelle/{SIGNATURE_FILE}"
#: What a running service that follows the registry downloads of a version.
BUNDLE: Final = "passerelle/bundle.tar"

# In a bento model's directory.
MODEL_FOLDER: Final = "mlflow_model"
LINEAGE_FILE: Final = "lineage.json"
#: The stored line of the ledger's entry that put the version into production; so too in the folder of a version that a service follows.
LEDGER_FILE: Final = "ledger_entry.jsonl"
#: In the model's folder, where the model is compiled.
SCORER_FOLDER: Final = "scorer"

#: The bento model tag and the bento tag carry the run id's first characters.
RUN_ID_LENGTH_IN_TAG = 8

_BENTO_NAME = re.compile(r"^[a-z0-9]([-._a-z0-9]*[a-z0-9])?$")
#: BentoML's limit for each half of a tag.
_LONGEST_BENTO_NAME = 63
_OTHER_NAME = "passerelle register --model NAME\npasserelle adopt runs:/RUN_ID --model NAME"


@dataclass(frozen=True, order=True)
class Alias:
    """An alias of a registered model, such as ``production``; case-sensitive in MLflow."""

    name: str

    def __str__(self) -> str:
        return self.name


PREVIOUS = Alias("previous")
#: Of the version that answers part of the requests beside production.
CANDIDATE_ALIAS = Alias("candidate")


@dataclass(frozen=True, order=True)
class BentoTag:
    """``name:version`` of a bento or of a bento model; lower case, without ``/`` and ``+``."""

    name: str
    version: str

    @classmethod
    def parse(cls, text: str) -> BentoTag:
        """Return the tag written as ``name:version``.

        Raises:
            UsageError: The text has no version or a character that BentoML refuses.
        """
        name, colon, version = text.partition(":")
        if not colon or not _BENTO_NAME.match(name) or not _BENTO_NAME.match(version):
            raise UsageError(
                f"'{text}' is not a bento tag: name:version, lower case",
                hint="bentoml models list; bentoml list",
            )
        return cls(name, version)

    def __str__(self) -> str:
        return f"{self.name}:{self.version}"


@dataclass(frozen=True, order=True)
class ModelVersionRef:
    """One version of a registered model, and the run that made it."""

    registered_model: str
    version: int
    run_id: str

    @property
    def uri(self) -> str:
        """The address by which MLflow loads exactly this version."""
        return f"models:/{self.registered_model}/{self.version}"

    @property
    def bento_model_tag(self) -> BentoTag:
        """``<registered model>:<version>-<first 8 of the run id>``, the same each time."""
        name = bento_name(self.registered_model)
        return BentoTag(name, f"{self.version}-{self.run_id[:RUN_ID_LENGTH_IN_TAG].lower()}")

    def __str__(self) -> str:
        return f"{self.registered_model} version {self.version}"


@dataclass(frozen=True)
class ImageRef:
    """An OCI image: its name with a tag, and its digest once it is built."""

    repository: str
    image_tag: str
    digest: str | None = None

    def __str__(self) -> str:
        return f"{self.repository}:{self.image_tag}"


def ledger_artifact(number: int) -> str:
    """Return where the line of a ledger entry lies among the artifacts of the run of the version that it leaves in production."""
    return f"passerelle/ledger/{number:06d}.jsonl"


def bento_name(registered_model: str) -> str:
    """Return the registered model's name in the characters that BentoML takes.

    Raises:
        UsageError: Nothing of the name is left, or it is too long.
    """
    name = re.sub(r"[^a-z0-9._-]+", "-", registered_model.lower()).strip("-._")
    if not name:
        message = f"the registered model '{registered_model}' has no letter or digit that a bento's name may hold: a to z, 0 to 9"
        raise UsageError(message, hint=_OTHER_NAME)
    if len(name) > _LONGEST_BENTO_NAME:
        most = f"the name of a bento has {_LONGEST_BENTO_NAME} at most"
        message = f"the registered model '{registered_model[:40]}…' has {len(name)} characters, and {most}"
        raise UsageError(message, hint=_OTHER_NAME)
    return name
