"""passerelle.toml: read, refused with what is wrong with it, and weaker than the environment."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from passerelle.errors import PasserelleError
from passerelle.project_file import Data, ProjectFile, ProjectModel, apply_settings, read_project_file
from passerelle.training.project import read_training_project

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
        ("models = 1\n", "models is not a section"),
        ("[models]\nthemes = 1\n", "models.themes is not a section"),
        ("[models.themes]\ndata = 1\n", "models.themes is not a section, or its data is none"),
        ('[models.themes]\nexperimnt = "a"\n', "experimnt is not a key of .models.themes."),
        ("[models.themes]\nexperiment = 1\n", "a value of .models.themes. is not a text"),
        ('[models.themes.data]\nfile = "a.csv"\n', "models.themes.data. lacks label_column"),
        ("[models.classification]\n", "classification and classification are one name for BentoML"),
        ("[models.a_B]\n[models.a_b]\n", "a_B and a_b are one name for BentoML"),
        ('[models.themes]\nexperiment = "classification"\n', "classification and themes have the same experiment, classification"),
    ],
)
def test_what_the_file_may_not_hold_is_refused_with_its_name(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(PasserelleError, match=message) as refused:
        read_project_file(written(tmp_path, text))
    assert refused.value.exit_code == 2
    assert refused.value.hint
    assert "passerelle.toml" in refused.value.message


def test_each_further_model_has_its_experiment_criteria_and_data(tmp_path: Path) -> None:
    text = """[settings]
registered_model = "comments"
experiment = "notes"
[models.themes.data]
file = "training/data/themes.csv"
text_column = "texte"
label_column = "theme"
[models.adopted]
experiment = "elsewhere"
criteria = "adopted.yaml"
training = "other"
"""
    found = read_project_file(written(tmp_path, text))
    themes = ProjectModel("themes", "themes", Data("training/data/themes.csv", "theme", ("texte",)))
    adopted = ProjectModel("adopted", "elsewhere", None, "adopted.yaml", "other")
    assert found.models == (ProjectModel("comments", "notes", Data()), themes, adopted)
    assert (found.model("themes"), found.model("nobody")) == (themes, None)


def test_the_project_of_a_model_has_its_data_and_its_folder(tmp_path: Path) -> None:
    text = """[models.themes.data]
file = "themes.csv"
text_column = "t"
label_column = "y"
[models.adopted]
training = "other"
"""
    written(tmp_path, text)
    (tmp_path / "themes.csv").write_text("t,y\n" + "".join(f"text {number},{'ab'[number % 2]}\n" for number in range(60)))
    for folder in ("training", "other"):
        (tmp_path / folder).mkdir()
        for name in ("candidates.py", "params.py"):
            shutil.copy(ROOT / "training" / name, tmp_path / folder)
    themes = read_training_project(tmp_path, "themes")
    assert (themes.folder, themes.model.name, len(themes.demo_data().records)) == (tmp_path / "training", "themes", 60)
    adopted = read_training_project(tmp_path, "adopted")
    assert adopted.folder == tmp_path / "other"
    with pytest.raises(PasserelleError, match=r"\[models.adopted\] in passerelle.toml has no data") as refused:
        adopted.demo_data()
    assert str(refused.value.hint).startswith("passerelle train --model adopted --data FILE")
    assert read_training_project(tmp_path, "of-nobody").model.name == "classification"
