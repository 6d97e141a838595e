/* A Modbus TCP server on libmodbus: a kiln that this project did not write.
 * Usage: kiln PORT   (unit 7 in its answers, several clients, until it is killed)
 *
 * holding 0      state
 * holding 1-2    counter, 32 bits, high word first; rises by one every 200 ms
 * holding 10-11  temperature, float, bytes ABCD
 * holding 12-13  the same as CDAB
 * holding 20-23  64-bit total, high word first
 * holding 30-35  the text "GLAZE-12"
 * input   5      a negative 16-bit number
 * coil    3      on; discrete 4: on
 */
#include <errno.h>
#include <modbus/modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

static long milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000L + now.tv_nsec / 1000000L;
}

static void count(modbus_mapping_t *map, long since)
{
    unsigned long counter = (unsigned long)((milliseconds() - since) / 200);
    map->tab_registers[1] = (uint16_t)(counter >> 16);
    map->tab_registers[2] = (uint16_t)counter;
}

static void fill(modbus_mapping_t *map)
{
    static const char text[] = "GLAZE-12";
    map->tab_registers[0] = 3;
    /* Word by word: modbus_set_float_abcd of libmodbus 3.1.6 gives BADC on a little-endian machine. */
    map->tab_registers[10] = map->tab_registers[13] = 0x4493; /* 1180.25f = 0x44938800 */
    map->tab_registers[11] = map->tab_registers[12] = 0x8800;
    map->tab_registers[22] = 0x0001; /* 65536 + 34464 = 100000 */
    map->tab_registers[23] = 0x86A0;
    for (size_t i = 0; i < sizeof text - 1; i += 2)
        map->tab_registers[30 + i / 2] = (uint16_t)((unsigned char)text[i] << 8 | (unsigned char)text[i + 1]);
    map->tab_input_registers[5] = (uint16_t)-125;
    map->tab_bits[3] = 1;
    map->tab_input_bits[4] = 1;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: kiln PORT\n");
        return 2;
    }
    modbus_t *context = modbus_new_tcp("127.0.0.1", atoi(argv[1]));
    modbus_mapping_t *map = modbus_mapping_new(16, 16, 64, 16);
    int listener = modbus_tcp_listen(context, 4);
    if (context == NULL || map == NULL || listener < 0) {
        fprintf(stderr, "kiln: %s\n", modbus_strerror(errno));
        return 1;
    }
    fill(map);
    long since = milliseconds();
    printf("ready\n");
    fflush(stdout);

    fd_set all;
    FD_ZERO(&all);
    FD_SET(listener, &all);
    int highest = listener;
    for (;;) {
        fd_set waiting = all;
        if (select(highest + 1, &waiting, NULL, NULL, NULL) < 0)
            return 1;
        for (int at = 0; at <= highest; at++) {
            if (!FD_ISSET(at, &waiting))
                continue;
            if (at == listener) {
                int client = modbus_tcp_accept(context, &listener);
                if (client < 0)
                    continue;
                FD_SET(client, &all);
                if (client > highest)
                    highest = client;
                continue;
            }
            uint8_t request[MODBUS_TCP_MAX_ADU_LENGTH];
            modbus_set_socket(context, at);
            int length = modbus_receive(context, request);
            if (length > 0) {
                count(map, since);
                modbus_reply(context, request, length, map);
            } else if (length < 0) {
                close(at);
                FD_CLR(at, &all);
            }
        }
    }
}
