// failed: exit status 3
#include <arpa/inet.h>
#include <initializer_list>
#include <sys/socket.h>
#include <sys/un.h>
int main() {
    sockaddr_in address{AF_INET, htons(53), {inet_addr("192.0.2.1")}, {}};
    sockaddr_un local{AF_UNIX, "/run/systemd/private"};
    for (int kind : {int(SOCK_STREAM), int(SOCK_DGRAM)})
        if (connect(socket(AF_INET, kind, 0), (sockaddr*)&address, sizeof address) == 0) return 0;
    return connect(socket(AF_UNIX, SOCK_STREAM, 0), (sockaddr*)&local, sizeof local) == 0 ? 0 : 3;
}
