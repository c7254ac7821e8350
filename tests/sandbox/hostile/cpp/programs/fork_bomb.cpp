// failed: exit status 3
#include <unistd.h>
int main() {
    for (;;) {
        int child = fork();
        if (child < 0) return 3;
        if (child == 0) sleep(60);
    }
}
