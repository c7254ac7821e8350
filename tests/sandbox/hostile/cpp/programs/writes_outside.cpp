// failed: exit status 3
#include <filesystem>
#include <fstream>
#include <unistd.h>
int main() {
    std::error_code error;
    for (auto folder : {"/", "/usr/", "/etc/", "/proc/", "/dev/", "/root/"})
        if (std::ofstream(std::string(folder) + "left")) return 0;
    symlink("/usr/left", "/tmp/link");
    if (std::ofstream("/tmp/link")) return 0;
    std::filesystem::remove_all("/usr/share", error);
    return std::filesystem::exists("/usr/share") ? 3 : 0;
}
