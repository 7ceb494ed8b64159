"""Data sets from what is installed: a teacher and a student, images, tweets; whole image sets where asked for."""

from .dataset import Dataset, one_hot, split, teacher_student
from .images import fetch_images, from_images, mnist
from .text import Tweets, tweets

__all__ = [
    "Dataset",
    "Tweets",
    "fetch_images",
    "from_images",
    "mnist",
    "one_hot",
    "split",
    "teacher_student",
    "tweets",
]
