# failed: nothing could be done
use Socket;
for my $folder ('/', '/usr', '/etc', '/root', '/proc', '/dev') {
    exit 0 if open(my $file, '>', "$folder/left");
}
exit 0 if kill('KILL', getppid(), 1);
system('rm -rf /usr/share /etc 2>/dev/null');
exit 0 if !-e '/usr/share';
socket(my $channel, PF_INET, SOCK_STREAM, 0);
exit 0 if connect($channel, sockaddr_in(53, inet_aton('192.0.2.1')));
die "nothing could be done";
