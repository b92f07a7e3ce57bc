"""Saves models of texts of a few kilobytes, with weights at random: `python tests/text_models.py --save-all FOLDER`.

Run by the interpreter of the texts' environment, without passerelle. `--answers FOLDER START` writes what each reader answers beside what
pyfunc says, where START is the start.py of `model/host/`.
"""

from __future__ import annotations

import json
import logging
import runpy
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import mlflow
import torch
import yaml
from transformers import BertConfig, BertForSequenceClassification, BertModel, BertTokenizerFast, pipeline

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "merci",
    "beaucoup",
    "aucune",
    "réponse",
    "toujours",
    "rien",
    "très",
    "bien",
    ",",
    ".",
]
TEXTS = ["merci beaucoup", "aucune réponse", "toujours rien .", "très bien , merci"]
LABELS = ["bad", "good", "other"]
_SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 32}


def config(**options: Any) -> BertConfig:
    names = {"id2label": dict(enumerate(LABELS)), "label2id": {name: place for place, name in enumerate(LABELS)}}
    return BertConfig(vocab_size=len(WORDS), initializer_range=2.0, **_SIZES, **{**names, **options})


class Embedded:
    """A classifier of a linear head above embeddings, as a notebook has it."""

    _estimator_type = "classifier"

    def __init__(self, encoder: Any, head: Any) -> None:
        self.encoder, self.head, self.classes_ = encoder, head, head.classes_

    def predict(self, texts: Any) -> Any:
        return self.head.predict(self.encoder.encode(list(texts), show_progress_bar=False))

    def predict_proba(self, texts: Any) -> Any:
        return self.head.predict_proba(self.encoder.encode(list(texts), show_progress_bar=False))


def save_all(folder: str) -> None:
    """Save each model in a folder of its name."""
    from sentence_transformers import SentenceTransformer, models
    from sklearn.linear_model import LogisticRegression

    root = Path(folder)
    torch.manual_seed(0)
    (root / "vocab.txt").write_text("\n".join(WORDS), encoding="utf-8")
    tokenizer = BertTokenizerFast(str(root / "vocab.txt"), model_max_length=32)
    of_pipeline = mlflow.transformers.save_model
    classifier = BertForSequenceClassification(config()).eval()
    truncated = {"truncation": True, "max_length": 32}
    of_pipeline(pipeline("text-classification", model=classifier, tokenizer=tokenizer), str(root / "transformers classifier"),
                pip_requirements=["transformers"], model_config=truncated)  # fmt: skip
    several = BertForSequenceClassification(config(problem_type="multi_label_classification")).eval()
    of_pipeline(pipeline("text-classification", model=several, tokenizer=tokenizer), str(root / "transformers multi-label"),
                pip_requirements=["transformers"], model_config=truncated)  # fmt: skip
    without = root / "transformers without tokenizer"
    shutil.copytree(root / "transformers classifier", without)
    shutil.rmtree(without / "components" / "tokenizer")
    BertModel(config()).eval().save_pretrained(str(root / "encoder"))
    tokenizer.save_pretrained(str(root / "encoder"))
    encoder = SentenceTransformer(modules=[models.Transformer(str(root / "encoder"), max_seq_length=32), models.Pooling(16)], device="cpu")
    mlflow.sentence_transformers.save_model(encoder, str(root / "sentence_transformers"), pip_requirements=["sentence-transformers"])
    head = LogisticRegression().fit(encoder.encode(TEXTS * 2, show_progress_bar=False), [0, 1, 1, 0] * 2)
    mlflow.sklearn.save_model(Embedded(encoder, head), str(root / "embeddings with a linear head"), pip_requirements=["scikit-learn"],
                              serialization_format="cloudpickle")  # fmt: skip


def answers(folder: str, start: str) -> None:
    """Write the reader's answers and pyfunc's for each model to `answers.json` in the current folder.

    The last of them is the quicker one, once the first have proven it; `way` names it.
    """
    runpy.run_path(start)["_load"]()
    from passerelle.model.host.loop import ReadModel

    found = {}
    flavors = dict.fromkeys(("transformers classifier", "transformers multi-label"), "transformers")
    for name, flavor in {**flavors, "sentence_transformers": "sentence_transformers"}.items():
        content = yaml.safe_load((Path(folder) / name / "MLmodel").read_text())
        entries = {"entry": content["flavors"][flavor], "function": content["flavors"]["python_function"]}
        inputs = [{"name": "text", "type": "string"}]
        message = {"folder": str(Path(folder) / name), "flavor": flavor, "form": "table", "inputs": inputs, "outputs": None, **entries}
        model = ReadModel(message, lambda _: True)
        answers = [model.answer({"records": [{"text": text} for text in TEXTS]}) for _ in range(4)]
        function = mlflow.pyfunc.load_model(str(Path(folder) / name)).predict(TEXTS)
        pyfunc = function.to_dict(orient="records") if hasattr(function, "to_dict") else function.tolist()
        found[name] = {**answers[0], **answers[-1], "first": answers[0], "way": model._ways._ways[0], "pyfunc": pyfunc}
    Path("answers.json").write_text(json.dumps(found))


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    if sys.argv[1] == "--save-all":
        save_all(sys.argv[2])
    else:
        answers(*sys.argv[2:])
