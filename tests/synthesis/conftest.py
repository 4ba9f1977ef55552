"""What the tests of renewal share."""

import pytest

from genrl.methods.method import Method
from genrl.synthesis import generate
from genrl.training.fit import fit
from tests.methods.toy_methods import METHODS, linear


@pytest.fixture(scope="module")
def one_thread():
    with generate.one_thread():
        yield


@pytest.fixture(scope="module")
def method() -> Method:
    return fit(METHODS["trajectory-mlp"](), linear(), 20, progress=False)
