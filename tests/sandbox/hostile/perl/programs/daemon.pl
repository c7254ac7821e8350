# passed:
use POSIX;
if (!fork()) { POSIX::setsid(); exec('sleep', '600'); }
