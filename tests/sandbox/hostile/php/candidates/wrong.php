<?php // failed: Exception: Test failed!
function f($x) {
    return [$x];
}
