"""A model that ends or stops the process it is asked in, once a file says how."""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path
from typing import Any

from sklearn.linear_model import LogisticRegression


class Crashing(LogisticRegression):
    """Answers until its file is there."""

    def __init__(self, flag: str = "", C: float = 1.0) -> None:  # noqa: N803 -- as scikit-learn wants it
        super().__init__(C=C)
        self.flag = flag

    def predict(self, X: Any) -> Any:  # noqa: N803 -- as scikit-learn names it
        """Predict, crash as native code does, hang in native code that lets no other thread run, or leave."""
        how = Path(self.flag).read_text() if Path(self.flag).is_file() else ""
        if how == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if how == "hang":
            ctypes.PyDLL(None).sleep(3600)
        if how == "leave":
            raise SystemExit(0)
        return super().predict(X)
