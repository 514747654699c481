"""Files that nobody has described: what is in them, however they are written, and clear words if nothing is."""

from __future__ import annotations

import bz2
import gzip
import pickle
from datetime import datetime
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest

from trimtab.errors import DataError
from trimtab.files import array_in, table_in
from trimtab.text_files import Layout, layout_of, text_table, typed

ROWS = [{"day": "2024-01-01", "n": 1, "price": 2.5, "city": "Köln"}, {"day": "2024-01-02", "n": None, "price": -3.0,
        "city": "a, b"}]


def _read(file: Path) -> tuple[dict[str, str], list[dict[str, Any]]]:
    backend = ibis.duckdb.connect()
    table = table_in(backend, file)
    return {name: str(kind) for name, kind in table.schema().items()}, backend.to_pyarrow(table).to_pylist()


def _written(folder: Path, name: str, text: str, encoding: str = "utf-8") -> Path:
    file = folder / name
    pack = {".gz": gzip.compress, ".bz2": bz2.compress}.get(file.suffix, bytes)
    file.write_bytes(pack(text.encode(encoding)))
    return file


@pytest.mark.parametrize(("name", "delimiter", "encoding"), [
    ("a.csv", ",", "utf-8"), ("a.csv", ";", "utf-8"), ("a.tsv", "\t", "utf-8"), ("a.csv", "|", "latin-1"),
    ("a.csv", ",", "utf-16"), ("a.csv", ",", "utf-8-sig"), ("a.csv.gz", ";", "utf-8"),
])
def test_a_table_is_read_whatever_divides_its_columns_and_encodes_it(
    tmp_path: Path, name: str, delimiter: str, encoding: str
) -> None:
    text = pd.DataFrame(ROWS).astype({"n": "Int64"}).to_csv(sep=delimiter, index=False)
    types, rows = _read(_written(tmp_path, name, text, encoding))
    assert types == {"day": "timestamp", "n": "int64", "price": "float64", "city": "string"}
    assert rows == [row | {"day": datetime.fromisoformat(str(row["day"]))} for row in ROWS]


def test_a_decimal_comma_is_one_where_columns_are_divided_otherwise(tmp_path: Path) -> None:
    types, rows = _read(_written(tmp_path, "a.csv", "a;b;c\n1;2,5;1,x\n2;;3\n3;-0,5;4\n"))
    assert types == {"a": "int64", "b": "float64", "c": "string"}
    assert [row["b"] for row in rows] == [2.5, None, -0.5]
    _, rows = _read(_written(tmp_path, "a.csv", "a;b\n1;2,5\n2;1,5e-05\n3;1,250\n"))
    assert [row["b"] for row in rows] == [2.5, 1.5e-05, 1.25]


def test_a_comma_that_may_be_of_thousands_is_no_decimal_one(tmp_path: Path) -> None:
    types, _ = _read(_written(tmp_path, "a.tsv", "a\tb\n1\t1,549\n2\t297\n"))
    assert types["b"] == "string"
    with pytest.raises(DataError, match="column 'b': are its commas decimal ones, or of thousands"):
        _read(_written(tmp_path, "a.csv", "a;b\n1;1,549\n2;297\n"))


def test_an_encoding_that_only_a_late_line_shows_is_found(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"a,b\n" + b"1,u\n" * 50_000 + "2,ü\n".encode("latin-1"))
    assert layout_of(file).encoding == "utf-8"
    assert _read(file)[1][-1] == {"a": 2, "b": "ü"}


@pytest.mark.parametrize("mark", ["NA", "N/A", "n/a", "#N/A", "<NA>", "NULL", "null", "None", ""])
def test_numbers_and_truth_values_that_are_said_to_be_missing_are(tmp_path: Path, mark: str) -> None:
    text = f"a;b;c;d;e\n1;2,5;true;NO;{mark}\n{mark};{mark};{mark};{mark};{mark}\n"
    _, rows = _read(_written(tmp_path, "a.csv", text))
    empty = {"a": None, "b": None, "c": None, "d": mark or None, "e": mark or None}
    assert rows == [{"a": 1, "b": 2.5, "c": True, "d": "NO", "e": mark or None}, empty]


def test_a_text_file_with_many_columns_is_read_without_a_join_for_each(tmp_path: Path) -> None:
    """DuckDB makes one of each IN, of which three hundred take half a minute."""
    backend, file = ibis.duckdb.connect(), tmp_path / "wide.csv"
    pd.DataFrame(np.ones((5, 40)) / 3).add_prefix("c").to_csv(file, index=False)
    table = table_in(backend, file)
    assert set(table.schema().values()) == {ibis.dtype("float64")}
    plan = backend.con.execute(f"EXPLAIN {ibis.to_sql(table, dialect='duckdb')}").fetchall()
    assert "csv" in str(plan).lower()
    assert "join" not in str(plan).lower()


def test_what_does_not_fit_the_type_that_was_seen_is_missing(tmp_path: Path) -> None:
    backend = ibis.duckdb.connect()
    table = text_table(backend, [_written(tmp_path, "a.csv", "n,k\n1,a\n2,b\nmuch,c\n")], lambda read, comma: typed(
        read, read.filter(read.k != "c"), ["n"], backend.to_pyarrow, comma=comma, source="a.csv"))
    assert backend.to_pyarrow(table.n).to_pylist() == [1, 2, None]


def test_a_column_without_a_name_is_left_out(tmp_path: Path) -> None:
    text = pd.DataFrame({"a": [1, 2], "b": [3, 4]}).to_csv()
    assert text.startswith(",a,b")
    assert _read(_written(tmp_path, "a.csv", text))[1] == [{"a": 1, "b": 3}, {"a": 2, "b": 4}]


def test_a_name_that_goes_on_in_the_next_line_is_one(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes(b'\r\n"price\r\nin euros";"a ""b""; c";n\r\n1;x;3\r\n2;y;4\r\n')
    assert layout_of(file).columns == ("price\r\nin euros", 'a "b"; c', "n")
    backend = ibis.duckdb.connect()
    found = backend.to_pyarrow(table_in(backend, file)).to_pylist()
    assert [list(row.values()) for row in found] == [[1, "x", 3], [2, "y", 4]]


def test_parquet_and_json_lines_are_read(tmp_path: Path) -> None:
    frame = pd.DataFrame(ROWS)
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    assert all(_read(tmp_path / name)[1][1]["city"] == "a, b" for name in ("a.parquet", "a.jsonl"))


@pytest.mark.parametrize(("name", "content", "told"), [
    ("a.csv", b"", "the file is empty"),
    ("a.csv", b"a,b\n1,2\n1,2,3\n", "Line: 3; Original Line: 1,2,3; Expected Number of Columns: 2 Found: 3"),
    ("a.csv", b"Dear all, this\nis a letter\n", "cannot be read as utf-8, columns divided by commas"),
    ("a.csv", b"Dear all.\nthis is a letter\n", "one column of text (looked for comma, semicolon, tab"),
    ("a.csv", bytes(range(256)) * 20, "is no text (tried utf-8, utf-16, latin-1)"),
    ("a.csv", b"a,b,a\n1,2,3\n", "its first line names 'a' more than once"),
    ("a.csv", b'a,b\n1,"x\n', "unterminated quote"),
    ("a.parquet", b"a,b\n1,2\n", "cannot be read"),
    ("a.csv.gz", b"a,b\n1,2\n", "cannot be unpacked"),
    ("a.csv.gz", gzip.compress(b"a,b\n1,2\n" * 9999)[:-40], "cannot be"),
    ("a.csv", b"a,b\r1,2\r3,4\r", "its lines end in carriage returns alone"),
    ("a.csv", b"x\ra\0\xff" * 99, "is no text (tried utf-8, utf-16, latin-1)"),
    ("a.csv", b"a,x,X\n1,2,3\n", "its first line names 'x' and 'X', where capital letters make no difference"),
    ("a.csv", b'a:b\n"1":2\n', "its first line has one column (looked for comma, semicolon, tab, vertical bar)"),
    ("a.csv", "a,b\n1,€\n".encode("cp1252"), "often write windows-1252: save it as UTF-8"),
    ("a.csv", gzip.compress(b"a,b\n1,2\n"), "is packed with gzip; give it a name that ends in .csv.gz"),
    ("a.csv", b"PAR1" + bytes(99), "is a Parquet file; give it a name that ends in .parquet"),
    ("a.csv", b'{"a": 1, "b": 2}\n{"a": 1, "b": 2}\n', "is JSON lines; give it a name that ends in .jsonl"),
    ("a.csv", b"PK\x03\x04" + bytes(99), "is a ZIP archive, as spreadsheets are; save it as CSV"),
    ("a.docx", b"a,b\n1,2\n", "a table's file name ends in .csv, .json"),
])
def test_what_is_no_table_is_refused_with_what_was_tried(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as refused:
        _read(tmp_path / name)
    assert str(refused.value).startswith(str(tmp_path / name))
    assert told in str(refused.value)


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    for read in (_read, array_in):
        with pytest.raises(DataError, match="there is no such file"):
            read(tmp_path / "a.csv")    # type: ignore[operator]


def test_a_folder_that_is_called_like_a_file_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    for read in (_read, array_in):
        with pytest.raises(DataError, match="is a folder, not a file"):
            read(tmp_path / "a.csv")    # type: ignore[operator]


def test_the_layout_is_told_in_words() -> None:
    assert str(Layout("utf-16", ";", ("a", "b"))) == "utf-16, columns divided by semicolons"


# -- values by record --------------------------------------------------------------------------------------------------


def test_arrays_come_from_numpy_and_from_text(tmp_path: Path) -> None:
    for shape in ((3,), (3, 1), (1, 3)):
        np.save(tmp_path / "a.npy", np.array([1.5, 2.0, -1.0]).reshape(shape))
        assert array_in(tmp_path / "a.npy").tolist() == [1.5, 2.0, -1.0]
    for text in ("1.5\n2\n-1\n", "prediction\n1.5\n2\n-1\n"):
        assert array_in(_written(tmp_path, "a.csv", text)).tolist() == [1.5, 2.0, -1.0]
    assert array_in(_written(tmp_path, "a.txt", "yes\nno\n")).tolist() == ["yes", "no"]
    late = tmp_path / "late.csv"
    late.write_bytes(b"no\n" * 50_000 + "schön\n".encode("latin-1"))
    assert array_in(late)[-1] == "schön"


def test_a_name_above_texts_is_told_by_their_number(tmp_path: Path) -> None:
    file = _written(tmp_path, "a.csv", "prediction\nyes\nno\nyes\n")
    assert array_in(file, lambda: 3).tolist() == ["yes", "no", "yes"]
    assert array_in(file, lambda: 4).tolist() == ["prediction", "yes", "no", "yes"]
    one_too_many = _written(tmp_path, "b.csv", "yes\nyes\nno\nyes\n")
    assert len(array_in(one_too_many, lambda: 3)) == 4, "a class is no name"


@pytest.mark.parametrize(("text", "told"), [
    ("1\n\n3\n", "1 of 3 values are missing or infinite, the first at place 2"),
    ("y\n1\n\n3\n\n", "1 of 3 values are missing or infinite, the first at place 2"),
    ("yes\n\nno\n", "1 of 3 values are missing or infinite, the first at place 2"),
    ('y\n"yes"\n""\n"no"\n"no"\n', "1 of 4 values are missing or infinite, the first at place 2"),
])
def test_an_empty_line_is_a_missing_value_that_moves_no_other(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        array_in(_written(tmp_path, "a.csv", text), lambda: 4)


def _pickled(file: Path) -> None:
    np.save(file, np.array([print, 1], dtype=object), allow_pickle=True)


@pytest.mark.parametrize(("made", "told"), [
    (_pickled, "it holds Python objects, which are never unpickled"),
    (lambda file: file.write_bytes(pickle.dumps([1, 2])), "is no NumPy file; write it with numpy.save"),
    (lambda file: file.write_text("1\n2\n"), "is no NumPy file; write it with numpy.save"),
    (lambda file: np.save(file, np.ones((3, 2))), "holds float64 of shape (3, 2), not one number or text per record"),
    (lambda file: np.save(file, np.array([1, np.nan, np.inf])), "2 of 3 values are missing or infinite, the first at"),
    (lambda file: np.save(file, np.ones(0)), "holds no values"),
    (lambda file: file.write_bytes(b""), "the file is empty"),
])
def test_arrays_that_cannot_be_used_are_refused(tmp_path: Path, made: Any, told: str) -> None:
    file = tmp_path / "a.npy"
    made(file)
    with pytest.raises(DataError) as refused:
        array_in(file)
    assert told in str(refused.value)


def test_the_index_that_pandas_writes_beside_values_is_no_value(tmp_path: Path) -> None:
    rows = pd.Series([0.5, 0.25, 1.0], name="p")
    for name, series in (("named", rows), ("nameless", rows.rename(None)), ("texts", pd.Series(["a", "b, c", "a"]))):
        series.to_csv(tmp_path / f"{name}.csv")
        assert array_in(tmp_path / f"{name}.csv").tolist() == series.tolist()
    rows.mask([False, True, False]).to_csv(tmp_path / "gap.csv")
    with pytest.raises(DataError, match="1 of 3 values are missing or infinite, the first at place 2"):
        array_in(tmp_path / "gap.csv")
    (tmp_path / "commas.csv").write_text("1,5\n2,5\n")
    with pytest.raises(DataError, match=r"holds 2 columns.*; if its commas are decimal ones, write points"):
        array_in(tmp_path / "commas.csv")


def test_several_arrays_in_a_file_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", p=np.ones(3), y=np.ones(3))
    with pytest.raises(DataError, match="holds several arrays; write the one that is meant"):
        array_in(tmp_path / "a.npz")


def test_of_a_text_file_with_columns_no_values_are_taken(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds 2 columns, not one value per record"):
        array_in(_written(tmp_path, "a.csv", "a,b\n1,2\n"))
