// passed:
#include <unistd.h>
int main() {
    if (fork() == 0) {
        setsid();
        if (fork() == 0) sleep(600);
    }
}
