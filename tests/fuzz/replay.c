/* SPDX-License-Identifier: Apache-2.0 */
/* Feeds every file of the corpus folders on the command line to a fuzz target; no fuzzer needed. */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 20 };

static int replay(const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC); /* a target may have replaced fopen() */
    uint8_t *data, *exact;
    ssize_t got;
    size_t len;

    if (file < 0)
        return 0;
    data = malloc(INPUT_MAX);
    got = data != NULL ? read(file, data, INPUT_MAX) : 0;
    len = got > 0 ? (size_t)got : 0;
    close(file);
    /* exactly as large as the input, so that a sanitizer sees one byte too far */
    exact = malloc(len != 0 ? len : 1);
    if (data == NULL || exact == NULL)
        abort();
    for (size_t i = 0; i < len; i++)
        exact[i] = data[i];
    free(data);
    LLVMFuzzerTestOneInput(exact, len);
    free(exact);
    return 1;
}

int main(int argc, char *argv[])
{
    int count = 0;

    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        struct dirent *entry;

        while (folder != NULL && (entry = readdir(folder)) != NULL) {
            char path[4096];

            if (entry->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            count += replay(path);
        }
        if (folder != NULL)
            closedir(folder);
    }
    printf("%d inputs replayed\n", count);
    return count > 0 ? 0 : 1;
}
