// The untrusted process: runs program.php, then answers the judge's calls on descriptor 3 with plain data.
$chaku_failure = null;
try {
    require './program.php';
} catch (Throwable $chaku_failure) {
}
for (;;) {
    [$chaku_name, $chaku_values] = ChakuWire::receive();
    try {
        if ($chaku_failure !== null) throw $chaku_failure;
        $chaku_answer = $chaku_name === '' ? array_filter($chaku_values, 'function_exists') : $chaku_name(...$chaku_values);
        ChakuWire::send(['done', $chaku_answer]);
    } catch (Throwable $chaku_error) {
        ChakuWire::send(['raise', get_class($chaku_error), $chaku_error->getMessage()]);
    }
}
