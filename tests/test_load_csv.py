"""Tables in CSV files, through pandas and through pyarrow."""

import importlib.util
import re
import sys

import nnx
import numpy as np
import pytest

TABLE = """age,color,member,label
1,red,True,yes
2,blue,False,no
3,red,True,yes
4.5, blue,False,no
"""


@pytest.fixture(params=["pandas", "pyarrow"])
def load(request, tmp_path, monkeypatch):
    """load_csv of a text, read by one library or the other."""
    pytest.importorskip("pandas" if request.param == "pandas" else "pyarrow.csv")
    if request.param == "pyarrow":
        monkeypatch.setitem(sys.modules, "pandas", None)

    def call(text, *arguments, **options):
        path = tmp_path / "table.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return nnx.datasets.load_csv(path, *arguments, **options)

    return call


def test_numbers_text_and_truth_values(load):
    found = load(TABLE, "label")
    assert found.feature_names == ("age", "color=blue", "color=red", "member")
    assert found.class_names == ("no", "yes")
    assert found.categories == {"color": ("blue", "red")}
    assert found.x.dtype == np.float32
    np.testing.assert_array_equal(found.x, [[1, 0, 1, 1], [2, 1, 0, 0], [3, 0, 1, 1], [4.5, 1, 0, 0]])
    assert found.y.dtype == np.int64
    np.testing.assert_array_equal(found.y, [1, 0, 1, 0])
    assert found.validation is None


@pytest.mark.parametrize(
    ("target", "wanted", "names"),
    [
        ("age", np.float32([1, 2, 3, 4.5]), ()),
        (0, np.float32([1, 2, 3, 4.5]), ()),
        (-1, np.int64([1, 0, 1, 0]), ("no", "yes")),
        ("member", np.int64([1, 0, 1, 0]), ("False", "True")),
        (["age", "member"], np.float32([[1, 1], [2, 0], [3, 1], [4.5, 0]]), ()),
        (None, None, ()),
    ],
)
def test_targets(load, target, wanted, names):
    found = load(TABLE, target)
    assert found.class_names == names
    if wanted is None:
        assert found.y is None
        assert found.x.shape == (4, 6)
    else:
        assert found.y.dtype == wanted.dtype
        np.testing.assert_array_equal(found.y, wanted)


def test_whole_numbers_as_targets(load):
    """Labels, or counts to regress on, as they are; classes where the column is listed."""
    text = "a,quality\n1,7\n2,3\n3,7\n"
    found = load(text, "quality")
    assert found.y.dtype == np.int64
    np.testing.assert_array_equal(found.y, [7, 3, 7])
    found = load(text, "quality", categorical=["quality"])
    np.testing.assert_array_equal(found.y, [1, 0, 1])
    assert found.class_names == ("3", "7")


def test_categories_that_are_listed(load):
    found = load(TABLE, "label", categorical=["age", "color"])
    assert found.feature_names[:5] == ("age=1.0", "age=2.0", "age=3.0", "age=4.5", "color=blue")
    np.testing.assert_array_equal(found.x[:, :4], np.eye(4))
    for given in ((), "age"):
        with pytest.raises(ValueError, match="column 'color' expected numbers, got 'red' in row 0"):
            load(TABLE, "label", categorical=given)
    assert load(TABLE, "label", categorical=(), drop=["color"]).feature_names == ("age", "member")


def test_a_file_of_tests_is_encoded_as_the_first(load):
    """Columns in another order, fewer categories, columns beside; what is not known is named."""
    train = load(TABLE, "label")
    text = "id,member,color,age,label\n7,True,blue,1,yes\n8,False,blue,2,yes\n"
    tests = load(text, "label", like=train)
    assert tests.feature_names == train.feature_names
    assert tests.class_names == train.class_names
    np.testing.assert_array_equal(tests.x, [[1, 1, 0, 1], [2, 1, 0, 0]])
    np.testing.assert_array_equal(tests.y, [1, 1])
    assert load(text, None, like=train).y is None
    for wrong, message in (
        (
            text.replace("8,False,blue", "8,False,green"),
            "column 'color' expected one of blue, red, got 'green' in row 1",
        ),
        (
            text.replace("2,yes", "2,perhaps"),
            "column 'label' expected one of no, yes, got 'perhaps' in row 1",
        ),
        (text.replace("age", "years"), "there is no age"),
    ):
        with pytest.raises(ValueError, match=message):
            load(wrong, "label", like=train)
    digits = load("zip,y\n1,0\n2,1\nA,1\n", "y", categorical=["zip"])
    again = load("zip,y\n2,0\n1,1\n", "y", like=digits)  # numbers, in this file
    np.testing.assert_array_equal(again.x, [[0, 1, 0], [1, 0, 0]])


def test_a_share_of_each_class_is_held_out(load):
    text = "a,b\n" + "".join(f"{row},{'xyz'[row % 3 if row < 30 else 0]}\n" for row in range(40))
    found = load(text, "b", validation_split=0.2)
    np.testing.assert_array_equal(np.bincount(found.y_val), [4, 2, 2])
    np.testing.assert_array_equal(np.bincount(found.y), [16, 8, 8])
    assert sorted([*found.x[:, 0], *found.x_val[:, 0]]) == list(range(40))
    same, other = load(text, "b", validation_split=0.2), load(text, "b", validation_split=0.2, seed=1)
    np.testing.assert_array_equal(found.x_val, same.x_val)
    assert not np.array_equal(found.x_val, other.x_val)
    numbers = load(
        text.replace("x", "0.5").replace("y", "1.5").replace("z", "2.5"), "b", validation_split=0.2
    )
    assert numbers.y_val.shape == (8,)
    model = nnx.Sequential(nnx.Dense(3))
    model.compile("sgd", "cross_entropy", seed=1)
    model.fit(*found.train, validation_data=found.validation, verbose=0)


def test_missing_values_are_named(load):
    text = "a,b,c\n1,,x\n,2,y\n3,4,\n,6,z\n7,8,x\n9,10,y\n"
    with pytest.raises(
        ValueError, match="column 'a' in row 1 and 1 more, column 'b' in row 0, column 'c' in row 2"
    ):
        load(text, "b")
    assert load("a,b,c\n1,5,\n2,6,\n", "b", drop=["c"]).x.shape == (2, 1)  # not looked at
    with pytest.warns(UserWarning, match="left out 4 rows with missing values: column 'a' in row 1") as said:
        found = load(text, "b", missing="drop")
    assert said[0].filename == __file__
    np.testing.assert_array_equal(found.x, [[7, 1, 0], [9, 0, 1]])
    np.testing.assert_array_equal(found.y, [8, 10])
    assert found.y.dtype == np.int64
    with pytest.raises(ValueError, match="expected no missing values"):
        load("a,b\n1,\n,2\n", "b", missing="drop")
    marked = "a,b\n1,2\n?,2\n3,4\n4,4\n"
    with pytest.raises(
        ValueError, match=r"column 'a' expected numbers, got '\?' in row 1: .*na_values=\['\?'\]"
    ):
        load(marked, "b")
    with pytest.raises(ValueError, match=r"missing values, .* column 'a' in row 1"):
        load(marked, "b", na_values="?")
    with pytest.warns(UserWarning, match="left out 1 rows"):
        gone = load("a,b\n1,True\n2,\n3,False\n", "b", missing="drop")
    assert gone.class_names == ("False", "True")


def test_rows_are_counted_in_the_file_also_where_some_are_dropped(load):
    with (
        pytest.warns(UserWarning, match="left out 1 rows"),
        pytest.raises(
            ValueError, match=r"column 'a' expected finite numbers that float32 holds, got .* in row 2"
        ),
    ):
        load("a,b\n1,1\n,2\n1e39,3\n", "b", missing="drop")


def test_files_that_are_no_such_table(load, tmp_path):
    for text, message in (
        ("a;b\n1;2\n", "give separator=';'"),
        ("1,2\n3,4\n", "give header=False"),
        ("", "it is empty"),
        ("a,b\n", "expected rows below the names"),
        ("a,b\n1,2\n1,2,3\n", "expected a CSV file: "),
        ("a,b\n1,2,3\n1,2,3\n", "expected a CSV file: "),
        ("a,b\n1,inf\n", "column 'b' expected finite numbers that float32 holds, got inf in row 0"),
        ("a,b\n1,1e39\n", "column 'b' expected finite numbers that float32 holds, got 1e.39 in row 0"),
        ("a\n1\n2\n", "expected columns beside the target"),
        (bytes(range(256)) * 3, "expected a CSV file: "),
        (
            "a,b\n" + "".join(f"{i},name{i}\n" for i in range(12)),
            r"a different one in every row.*drop=\['b'\]",
        ),
        ("a,b\n" + "".join(f"{i},t{i % 101}\n" for i in range(300)), "101 different ones"),
    ):
        with pytest.raises(ValueError, match=re.escape(str(tmp_path)) + r".*table.csv: .*" + message):
            load(text, "a")
    found = load("3,x\n4,y\n", 0, header=False)
    assert found.feature_names == ("1=x", "1=y")
    np.testing.assert_array_equal(load("a;b\n1;2\n", "b", separator=";").x, [[1]])
    np.testing.assert_array_equal(load('a,b\n"x, y",1\n z,0\n', "b").categories["a"], ["x, y", "z"])


def test_arguments_that_do_not_fit(load):
    for given, exception, message in (
        (
            {"target": "nope"},
            ValueError,
            "argument 'target' expected a column among age, color, member, label",
        ),
        ({"target": 4}, ValueError, "argument 'target' expected one of 4 columns, got 4"),
        ({"target": True}, TypeError, "argument 'target'"),
        ({"target": []}, TypeError, "argument 'target'"),
        ({"drop": ["nope"]}, ValueError, "argument 'drop' expected columns among"),
        ({"categorical": ["nope"]}, ValueError, "argument 'categorical' expected columns among"),
        ({"missing": "mean"}, ValueError, "argument 'missing'"),
        ({"separator": ", "}, ValueError, "argument 'separator'"),
        ({"validation_split": 1}, ValueError, "argument 'validation_split'"),
        ({"seed": 0.5}, TypeError, "argument 'seed'"),
    ):
        with pytest.raises(exception, match=message):
            load(TABLE, **{"target": "label", **given})
    with pytest.raises(FileNotFoundError):
        nnx.datasets.load_csv("nowhere.csv", "a")


def test_both_libraries_read_the_same(tmp_path, monkeypatch, rng):
    if not all(importlib.util.find_spec(name) for name in ("pandas", "pyarrow")):
        pytest.skip("needs both")
    path = tmp_path / "t.csv"
    lines = [
        f"{a},{b:.17g},{c},{'tf'[c % 2]}"
        for a, b, c in zip(range(50), rng.normal(size=50), rng.integers(0, 9, 50), strict=True)
    ]
    path.write_text("id,x,n,y\n" + "\n".join(lines))
    first = nnx.datasets.load_csv(path, "y", validation_split=0.3)
    monkeypatch.setitem(sys.modules, "pandas", None)
    second = nnx.datasets.load_csv(path, "y", validation_split=0.3)
    for name in ("x", "y", "x_val", "y_val"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert first.feature_names == second.feature_names


def test_without_either(tmp_path, monkeypatch):
    for name in ("pandas", "pyarrow", "pyarrow.csv"):
        monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / "t.csv").write_text(TABLE)
    with pytest.raises(
        ImportError, match=r"load_csv: .*pandas or pyarrow, and neither is installed \(pip install"
    ):
        nnx.datasets.load_csv(tmp_path / "t.csv", "label")
