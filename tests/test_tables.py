import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rca import tables
from rca.errors import InputError, MissingFile, UnsafeInput


def test_parquet_and_csv_give_the_same_table(tmp_path):
    frame = pd.DataFrame({"amount": [1.5, np.nan], "country": ["DE", "FR"]})
    frame.to_parquet(tmp_path / "rows.parquet")
    frame.to_csv(tmp_path / "rows.csv", index=False)
    pd.testing.assert_frame_equal(tables.read(tmp_path / "rows.parquet"), frame)
    pd.testing.assert_frame_equal(tables.read(tmp_path / "rows.csv"), frame)


def test_an_index_that_was_saved_is_not_mistaken_for_the_rows_place(tmp_path):
    pd.DataFrame({"a": [1, 2]}, index=[7, 9]).to_parquet(tmp_path / "rows.parquet")
    assert tables.read(tmp_path / "rows.parquet").index.tolist() == [0, 1]


def test_a_missing_file_is_named_with_the_place_that_names_it(tmp_path):
    with pytest.raises(MissingFile, match=r"incident.yaml: model.holdout: .*none.parquet: no such file"):
        tables.read(tmp_path / "none.parquet", where="incident.yaml: model.holdout")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.parquet", b"a,b\n1,2\n", "not a Parquet file"),
        ("rows.parquet", b"PAR1 and then nonsense PAR1", "damaged Parquet file"),
        ("rows.parquet", b"", "the file is empty"),
        ("rows.csv", b"\n  \n", "the file is empty"),
        ("rows.csv", b"\xff\xfe\x00a", "neither Parquet nor UTF-8 text"),
        ("rows.csv", b"a\x00b\n1\n", "NUL byte"),
        ("rows.csv", b"a,b,a\n1,2,3\n", "column 'a' is there more than once"),
        ("rows.csv", b"a,,b\n1,2,3\n", "column 2 has no name"),
        ("rows.csv", b'a,b\n1,"2\n', "damaged CSV file"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        tables.read(tmp_path / name)


def test_a_small_file_that_claims_a_billion_cells_is_refused(tmp_path):
    column = pa.array(np.zeros(1_000_000, dtype=np.int8))
    table = pa.table({f"c{number}": column for number in range(201)})
    pq.write_table(table, tmp_path / "bomb.parquet", compression="zstd")
    assert (tmp_path / "bomb.parquet").stat().st_size < 1_000_000
    with pytest.raises(UnsafeInput, match="1,000,000 rows x 201 columns"):
        tables.read(tmp_path / "bomb.parquet")


def test_a_csv_with_a_byte_order_mark_keeps_its_first_name(tmp_path):
    (tmp_path / "rows.csv").write_bytes("amount,x\n1,2\n".encode("utf-8-sig"))
    assert tables.read(tmp_path / "rows.csv").columns.tolist() == ["amount", "x"]
