"""passerelle.toml: read, refused with what is wrong with it, and weaker than the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from passerelle.errors import PasserelleError
from passerelle.project_file import Data, ProjectFile, apply_settings, read_project_file

ROOT = Path(__file__).resolve().parents[2]


def written(folder: Path, text: str) -> Path:
    (folder / "passerelle.toml").write_text(text)
    return folder


def test_without_the_file_it_is_the_demo(tmp_path: Path) -> None:
    assert read_project_file(tmp_path) == ProjectFile()
    root = read_project_file(ROOT)
    assert (root.name, root.language, root.data) == ("classification", "fr", ProjectFile().data)


def test_a_table_names_its_columns(tmp_path: Path) -> None:
    text = '[data]\nfile = "training/data/a.parquet"\nlabel_column = "y"\nfeature_columns = ["a", "b"]'
    assert read_project_file(written(tmp_path, text)).data == Data("training/data/a.parquet", "y", (), ("a", "b"))


def test_texts_are_named_alone_or_in_a_list(tmp_path: Path) -> None:
    for texts, columns in (('"a"', ("a",)), ('["a", "b"]', ("a", "b"))):
        text = f'[data]\nfile = "a.csv"\nlabel_column = "y"\ntext_column = {texts}'
        assert read_project_file(written(tmp_path, text)).data == Data("a.csv", "y", columns, ())


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    text = '[settings]\nregistered_model = "motifs"\ntracking_uri = "http://file"\nworkers = 2\ntrust_pickle = true'
    environment = {"MLFLOW_TRACKING_URI": "http://environment", "PASSERELLE_WORKERS": "4"}
    chosen = apply_settings(written(tmp_path, text), environment)
    assert set(chosen) == {"PASSERELLE_REGISTERED_MODEL", "PASSERELLE_TRUST_PICKLE"}
    assert environment["PASSERELLE_TRUST_PICKLE"] == "true"
    assert environment["PASSERELLE_WORKERS"] == "4"
    assert "PASSERELLE_TRACKING_URI" not in environment, "it would go before MLFLOW_TRACKING_URI"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[settings\n", "cannot read"),
        ("[setings]\n", "setings is not a section"),
        ("settings = 1\n", "settings is not a section"),
        ('[project]\nlanguage = "de"\n', "language is 'de', not fr or en"),
        ("[project]\nname = 3\n", "name is 3"),
        ('[project]\nport = "3"\n', "port is not a key of .project."),
        ('[settings]\nregistred_model = "a"\n', "registred_model is not a setting"),
        ('[settings]\ns3_secret_access_key = "a"\n', "s3_secret_access_key is a secret"),
        ('[settings]\napi_key = "a"\n', "api_key is a secret"),
        ("[settings]\nexperiment = []\n", "experiment is not a text"),
        ('[data]\nfile = "a.csv"\n', "lacks label_column"),
        ('[data]\nfile = "a.csv"\nlabel_column = "y"\n', "needs text_column or feature_columns"),
        ('[data]\nfile = "a.csv"\nlabel_column = "y"\ntext_column = 3\n', "not a text"),
        ('[data]\nfile = "a.csv"\nlabel_column = "y"\ntext_column = ["a", 3]\n', "not a text"),
        ('[data]\nfile = "a.csv"\nlabel_column = "y"\ntext_column = []\n', "needs text_column or feature_columns"),
    ],
)
def test_what_the_file_may_not_hold_is_refused_with_its_name(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(PasserelleError, match=message) as refused:
        read_project_file(written(tmp_path, text))
    assert refused.value.exit_code == 2
    assert refused.value.hint
    assert "passerelle.toml" in refused.value.message
