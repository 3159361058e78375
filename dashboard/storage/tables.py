"""Tables hold a user's own data, and are found again by a hash of their content."""

import csv
import io
import json
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from dashboard.storage.formulas import guarded
from engine import atomic_write
from engine.datasets import Dataset

OWN = "own data"
"""What the menu of datasets calls a table."""

MIN_ROWS, MAX_ROWS, MAX_COLUMNS, MAX_CLASSES = 4, 2000, 50, 5
MAX_VALUE = 1e100
"""Largest number in a table; its square, and the sum of many such squares, are still finite."""

MAX_NAME_LENGTH = 60
DIGEST = re.compile(r"[0-9a-f]{16}")
MEMORY = 64 * 2**20
"""Bytes of tables that stay in memory although no run uses them at present."""

MAX_CACHED = 200
MAX_FILE_BYTES = 16 * 2**20


@dataclass(frozen=True, eq=False)
class Table:
    """A user's own examples, and their names for things.

    Attributes:
        columns: Names of the inputs.
        x: (n, inputs) float64.
        y: (n,) float64: number of each row's class, or its value if `task` is "regression".
        task: "binary", "classes" or "regression".
        labels: Names of the classes in the order of their numbers; none for a regression.
        answer: Name of the column to be predicted.

    Raises:
        ValueError: If no run could learn from it.
    """

    columns: tuple[str, ...]
    x: np.ndarray
    y: np.ndarray
    task: str
    labels: tuple[str, ...] = ()
    answer: str = "class"

    def __post_init__(self) -> None:
        rows = len(self.x)
        _check(MIN_ROWS <= rows <= MAX_ROWS, f"{rows} rows are not {MIN_ROWS} to {MAX_ROWS:,}")
        _check(self.x.shape == (rows, len(self.columns)), f"{len(self.columns)} names are not one for each column")
        _check(1 <= len(self.columns) <= MAX_COLUMNS, f"{len(self.columns)} inputs are not 1 to {MAX_COLUMNS}")
        _check(self.y.shape == (rows,), f"{self.y.size} answers are not one for each of {rows} rows")
        for values in (self.x, self.y):
            _check(bool((np.abs(values) <= MAX_VALUE).all()), f"a value is not a number up to {MAX_VALUE:g}")
        _check(self.task in ("binary", "classes", "regression"), f"task {self.task!r} is unknown")
        self._check_labels()

    @classmethod
    def of(cls, data: Dataset) -> "Table":
        """The table of a dataset, with inputs named x1, x2 and so on.

        Raises:
            ValueError: If the data have more rows or columns than a table may.
        """
        columns = tuple(f"x{place}" for place in range(1, data.features + 1))
        labels = tuple(map(str, range(data.n_classes)))
        return cls(columns, data.x, data.y.astype(float), data.task, labels, "class" if labels else "y")

    @classmethod
    def labeled(
        cls, columns: Sequence[str], x: np.ndarray, y: np.ndarray, labels: Sequence[str], answer: str = "class"
    ) -> "Table":
        """A table of classes: two of them make a binary problem."""
        task = "binary" if len(labels) == 2 else "classes"
        return cls(tuple(columns), x, y.astype(float), task, tuple(labels), answer)

    @classmethod
    def unpacked(cls, packed: Any) -> "Table":
        """The inverse of `packed`.

        Raises:
            ValueError: If the argument is not a packed table.
        """
        _check(isinstance(packed, dict), "it is no JSON object")
        names = [packed.get(name) for name in ("columns", "labels")]
        words = [packed.get(name) for name in ("task", "answer")]
        _check(all(isinstance(part, list) for part in names), "columns and labels are no lists")
        texts = [*words, *names[0], *names[1]]
        _check(all(isinstance(text, str) and len(text) <= MAX_NAME_LENGTH for text in texts), "a name is no short text")
        return cls(
            tuple(names[0]), _numbers(packed, "x", 2), _numbers(packed, "y", 1), words[0], tuple(names[1]), words[1]
        )

    def packed(self) -> dict[str, Any]:
        """The table as JSON, without loss."""
        names = {"columns": list(self.columns), "labels": list(self.labels)}
        return {"task": self.task, "answer": self.answer, **names, "x": self.x.tolist(), "y": self.y.tolist()}

    @cached_property
    def digest(self) -> str:
        """A hash of its content."""
        words = json.dumps([self.columns, self.labels, self.task, self.answer, self.x.shape])
        arrays = (np.ascontiguousarray(values, dtype="<f8").tobytes() for values in (self.x, self.y))
        return sha256(b"".join([words.encode(), *arrays])).hexdigest()[:16]

    @property
    def wide(self) -> bool:
        """Whether an input is far from mean 0 and standard deviation 1, for which initial weights are made."""
        varied = np.ptp(self.x, axis=0) > 0
        spread = self.x.std(axis=0)[varied]
        return bool((np.abs(self.x.mean(axis=0)) > 3).any() or (spread > 3).any() or (spread < 0.1).any())

    @property
    def counts(self) -> dict[str, int]:
        """How many rows each class has, by its name."""
        return {label: int((self.y == number).sum()) for number, label in enumerate(self.labels)}

    @property
    def summary(self) -> str:
        """What the table is, as a sentence."""
        inputs = ", ".join(self.columns[:4]) + (f" and {len(self.columns) - 4} more" if len(self.columns) > 4 else "")
        counts = ": " + ", ".join(f"{count:,} {label}" for label, count in self.counts.items()) if self.labels else ""
        return f"{len(self.x):,} examples, inputs {inputs}; answer {self.answer}{counts}."

    def dataset(self) -> "TableDataset":
        """The examples as the engine wants them."""
        y = self.y.astype(np.int64) if self.task == "classes" else self.y
        return TableDataset(self.x, y, self.task, len(self.labels), OWN)

    def csv(self) -> str:
        """The table as text that `read_csv` reads back to the last digit; no spreadsheet finds formulas in it."""
        names, labels = (*self.columns, self.answer), self.labels
        guards = {text: guarded(text) for text in (*names, *labels)}
        marked = any(text != cell for text, cell in guards.items())
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC if marked else csv.QUOTE_MINIMAL)
        writer.writerow([guards[name] for name in names])
        answers = [guards[labels[int(number)]] for number in self.y] if labels else self.y.tolist()
        writer.writerows([*row, answer] for row, answer in zip(self.x.tolist(), answers, strict=True))
        return file.getvalue()

    def _check_labels(self) -> None:
        classes, fits = len(self.labels), {"binary": (2, 2), "classes": (3, MAX_CLASSES), "regression": (0, 0)}
        low, high = fits[self.task]
        _check(
            low <= classes <= high,
            f"{classes} classes do not go with the task {self.task!r}, which has {low} to {high}",
        )
        if classes:
            found = np.unique(self.y)
            _check(np.isin(found, np.arange(classes)).all(), f"an answer is not the number of one of {classes} classes")
            _check(len(found) > 1, f"all rows are of class {self.labels[int(found[0])]!r}: nothing to tell apart")


@dataclass(frozen=True, eq=False)
class TableDataset(Dataset):
    """The examples of a table. Which of them are held out depends on what an example is, not on its position."""

    def split(self, validation: float = 0.25, seed: int = 0) -> tuple["Dataset", "Dataset"]:
        """Splits off held-out examples; one example more or less moves hardly any other from one part to the other.

        Both parts keep the order of the rows.
        """
        held_out = round(validation * len(self))
        order = np.argsort(self._lots(seed), kind="stable")
        free = np.delete(order, self._first_of_each_class(order))
        if not 0 < held_out <= len(free):
            raise ValueError(
                f"validation share {validation} sets {held_out} of {len(self)} examples aside; "
                f"choose a share that sets aside 1 to {len(free)} of them"
            )
        aside = np.sort(free[:held_out])
        return self.take(np.delete(np.arange(len(self)), aside)), self.take(aside)

    def _lots(self, seed: int) -> np.ndarray:
        """(n,) a number for each example, drawn from its inputs and the seed."""
        key = int(seed).to_bytes(8, "little", signed=True)
        lots = [blake2b(row.tobytes(), digest_size=8, key=key).digest() for row in np.ascontiguousarray(self.x)]
        return np.frombuffer(b"".join(lots), dtype="<u8")


class Tables:
    """All tables known to this process, by digest, including those in the folder, whichever process has put them there.

    Tables in use stay in memory; of the rest the newest 200, up to `most` bytes.
    """

    def __init__(self, folder: Callable[[], Path], most: int = MEMORY) -> None:
        self._folder, self._most = folder, most
        self._lock = threading.Lock()
        self._used: WeakValueDictionary[str, Table] = WeakValueDictionary()
        self._newest: OrderedDict[str, Table] = OrderedDict()

    def put(self, table: Table) -> str:
        """Add a table, writes it into the folder if possible, and return its digest."""
        self.hold(table)
        self.write(table.digest)
        return table.digest

    def hold(self, table: Table) -> str:
        """Add a table in memory only, as long as it is in use or among the newest; return its digest."""
        with self._lock:
            table = self._used.setdefault(table.digest, table)
            self._newest[table.digest] = table
            self._newest.move_to_end(table.digest)
            while len(self._newest) > 1 and (len(self._newest) > MAX_CACHED or self._bytes > self._most):
                self._newest.popitem(last=False)
        return table.digest

    def write(self, digest: str) -> str:
        """Write a table into the folder; return why that failed, or an empty text."""
        table, path = self.get(digest), self._path(digest)
        try:
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                atomic_write.write(path, json.dumps(table.packed()).encode())
        except OSError as error:
            return (
                f"The data could not be written to {path.parent} ({error.strerror or error}): "
                "they are known until this server ends. Download them as CSV to keep them."
            )
        return ""

    def get(self, digest: str) -> Table:
        """The table with that digest.

        Raises:
            ValueError: If it is unknown; the message says what to do.
        """
        found = self._used.get(digest)
        if found is None:
            found = self._read(digest)
            self.hold(found)
        return found

    def __contains__(self, digest: str) -> bool:
        try:
            return bool(self.get(digest))
        except ValueError:
            return False

    def pack(self, digest: str) -> dict[str, Any]:
        """The table with that digest as JSON.

        Raises:
            ValueError: If it is unknown.
        """
        return self.get(digest).packed()

    def unpack(self, packed: Any) -> str:
        """Add a packed table, and return its digest.

        Raises:
            ValueError: If the argument is not a packed table.
        """
        try:
            return self.put(Table.unpacked(packed))
        except ValueError as error:
            raise ValueError(f"these are no data of one's own as a run carries them: {error}") from None

    @property
    def _bytes(self) -> int:
        return sum(table.x.nbytes for table in self._newest.values())

    def _read(self, digest: str) -> Table:
        unknown = ValueError(
            f"the data {digest!r} are not known here; load their file again, or open the run they were kept with"
        )
        if not DIGEST.fullmatch(digest):
            raise unknown
        try:
            with self._path(digest).open(encoding="utf-8") as file:
                found = Table.unpacked(json.loads(file.read(MAX_FILE_BYTES)))
        except (OSError, ValueError, RecursionError):
            raise unknown from None
        if found.digest != digest:
            raise unknown
        return found

    def _path(self, digest: str) -> Path:
        return self._folder() / f"{digest}.json"


def _folder() -> Path:
    return Path(os.environ.get("DESCENT_LAB_HOME") or "~/descent-lab").expanduser().absolute() / "data"


TABLES = Tables(_folder)


def _numbers(packed: dict[str, Any], name: str, dimensions: int) -> np.ndarray:
    try:
        values = np.asarray(packed.get(name), dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} holds something else than numbers") from None
    _check(values.ndim == dimensions, f"{name} has {values.ndim} dimensions, not {dimensions}")
    return values


def _check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)
