"""The project's own tests: its data, candidates and criteria fit each other. `make test` runs them, and so does pytest."""

from __future__ import annotations

import unittest
from collections import Counter
from pathlib import Path

from passerelle.criteria_file import read_criteria
from passerelle.training.dataset import Dataset
from passerelle.training.project import TrainingProject, read_training_project

ROOT = Path(__file__).resolve().parents[2]


class ProjectTest(unittest.TestCase):
    """What a training needs before it begins."""

    project: TrainingProject
    data: Dataset

    @classmethod
    def setUpClass(cls) -> None:
        """Read the project once."""
        cls.project = read_training_project(ROOT)
        cls.data = cls.project.demo_data()

    def test_each_class_has_enough_records(self) -> None:
        """A class needs a record for each fold, and one that is held out."""
        fewest = min(Counter(self.data.labels).values())
        self.assertGreaterEqual(fewest, self.project.params.fewest_per_class)

    def test_candidates_have_names_of_their_own(self) -> None:
        """Runs are told apart by the names of the candidates."""
        names = [candidate.name for candidate in self.project.candidates_for(self.data, seed=0)]
        self.assertGreater(len(names), 0)
        self.assertEqual(len(names), len(set(names)))

    def test_each_candidate_answers_with_a_class_of_the_data(self) -> None:
        """Fitted on a few records of each class, each candidate predicts one of them for every record."""
        few = self.data.labels.groupby(self.data.labels).head(12).index
        records, labels = self.data.records.loc[few], self.data.labels.loc[few]
        for candidate in self.project.candidates_for(self.data, seed=0):
            with self.subTest(candidate=candidate.name):
                answers = candidate.pipeline.fit(records, labels).predict(records)
                self.assertLessEqual(set(answers), set(self.data.classes))

    def test_the_criteria_can_be_read(self) -> None:
        """A criterion that does not exist is refused here, and not after the training."""
        read_criteria(ROOT / "training" / "criteria.yaml")
