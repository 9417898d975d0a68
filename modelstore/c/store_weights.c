/* Prints what a store keeps as each key: store_weights SOCKET KEY...
 *
 * A line a tensor, `name dtype shape bytes sum`, the sum over its bytes in host memory; or the
 * failure. With "-" for a key it waits for a line of standard input; with KEY! it writes into the
 * weights, which ends it by a signal. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gshare_store.h"

static void print_tensor(const struct gshare_tensor *tensor, int is_on_device) {
    uint64_t sum = 0;

    printf("%s %s ", tensor->name, tensor->dtype);
    for (size_t at = 0; at < tensor->dimensions; at++)
        printf("%s%" PRIu64, at ? "x" : "", tensor->shape[at]);
    for (uint64_t at = 0; at < tensor->bytes && !is_on_device; at++)
        sum += ((const unsigned char *)tensor->data)[at];
    printf("%s %" PRIu64 " ", tensor->dimensions ? "" : "-", tensor->bytes);
    if (is_on_device)
        printf("device\n");
    else
        printf("%" PRIu64 "\n", sum);
}

static void show(struct gshare_store *store, char *key) {
    const struct gshare_weights *weights;
    size_t length = strlen(key);
    int writes = length && key[length - 1] == '!';

    if (writes)
        key[length - 1] = '\0';
    int code = gshare_store_get(store, key, GSHARE_WEIGHTS_ANYWHERE, &weights);
    if (code) {
        printf("%d %s\n", code, store->error);
        return;
    }
    printf("%zu %s %s\n", weights->count, weights->is_on_device ? "device" : "host",
           weights->digest);
    for (size_t at = 0; at < weights->count; at++)
        print_tensor(&weights->tensors[at], weights->is_on_device);
    fflush(stdout);
    if (writes)
        *(volatile unsigned char *)(uintptr_t)weights->tensors[0].data = 1;
}

int main(int count, char **words) {
    struct gshare_store *store = NULL;
    int code = count > 1 ? gshare_store_open(&store, words[1]) : 1;

    if (code)
        printf("%d %s\n", code, store ? store->error : "usage: store_weights SOCKET KEY...");
    for (int at = 2; !code && at < count; at++) {
        if (strcmp(words[at], "-") != 0)
            show(store, words[at]);
        else if (getchar() == EOF)
            break;
        fflush(stdout);
    }
    gshare_store_close(store);
    return code ? 1 : 0;
}
