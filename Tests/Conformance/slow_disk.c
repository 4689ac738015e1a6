/* slow_disk.c: loaded before the C library, makes each fdatasync last as long as a file says.
   Belongs here: that delay alone. Never here: what a server should do about it (test_cluster_disks.py).
   SLOW_DISK names the file; it holds milliseconds. Without the file the disk is as fast as it is. */

#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int fdatasync(int descriptor) {
    const char *path = getenv("SLOW_DISK");
    FILE *file = path ? fopen(path, "r") : NULL;
    unsigned milliseconds = 0;
    if (file) {
        if (fscanf(file, "%u", &milliseconds) != 1) milliseconds = 0;
        fclose(file);
    }
    if (milliseconds) usleep(milliseconds * 1000);
    return (int)syscall(SYS_fdatasync, descriptor);
}
