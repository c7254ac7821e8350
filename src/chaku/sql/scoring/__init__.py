"""Scores predicted queries against gold queries by the official rules."""
