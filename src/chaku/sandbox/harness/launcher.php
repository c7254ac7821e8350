function chaku_tests(): array
{
    static $taken;  // before the program's first line; then its files are gone
    return $taken ??= array_map(fn ($name) => [file_get_contents($name), unlink($name)][0], ['tests.php', 'mark']);
}
chaku_tests();
require './program.php';
eval(chaku_tests()[0]);
touch(chaku_tests()[1]);
