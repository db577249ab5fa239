"""Which labels images carry, from the files that data sets come with.

    labels = read_labels("annotations/instances_val2017.json")
    labels.labels["000000000139.jpg"]           # frozenset({"chair", "clock", ...})
    labels.id_of("val2017/000000000139.jpg")    # "000000000139.jpg"

Formats: COCO, LVIS and EgoObjects JSON, Cityscapes label images, one folder a class, and lines of JSON or CSV, which
the composed scenes' labels.jsonl are too. The content says which it is.
"""

from setwise_evaluation.labels._read import read_labels
from setwise_evaluation.labels._types import IMAGE_SUFFIXES, Labelled, LabelsFormat

__all__ = ["IMAGE_SUFFIXES", "Labelled", "LabelsFormat", "read_labels"]
