/* A Modbus RTU server on libmodbus: a kiln that this project did not write.
 * Usage: kiln_rtu PORT   (a serial port, 19200 8N1; unit 7, until it is killed)
 *
 * holding 0      state
 * holding 10-11  temperature, float, bytes ABCD; 12-13 the same as CDAB
 * holding 14     one that may be set
 * holding 30-35  the text "GLAZE-12"
 * input   5      a negative 16-bit number
 * coil    3      on; discrete 4: on
 */
#include <errno.h>
#include <modbus/modbus.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    static const uint16_t text[] = {0x474C, 0x415A, 0x452D, 0x3132}; /* GLAZE-12 */
    if (argc != 2) {
        fprintf(stderr, "usage: kiln_rtu PORT\n");
        return 2;
    }
    modbus_t *context = modbus_new_rtu(argv[1], 19200, 'N', 8, 1);
    modbus_mapping_t *map = modbus_mapping_new(16, 16, 64, 16);
    if (context == NULL || map == NULL || modbus_set_slave(context, 7) < 0 || modbus_connect(context) < 0) {
        fprintf(stderr, "kiln_rtu: %s\n", modbus_strerror(errno));
        return 1;
    }
    map->tab_registers[0] = 3;
    map->tab_registers[10] = map->tab_registers[13] = 0x4493; /* 1180.25f = 0x44938800 */
    map->tab_registers[11] = map->tab_registers[12] = 0x8800;
    for (int i = 0; i < 4; i++)
        map->tab_registers[30 + i] = text[i];
    map->tab_input_registers[5] = (uint16_t)-125;
    map->tab_bits[3] = 1;
    map->tab_input_bits[4] = 1;
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        uint8_t request[MODBUS_RTU_MAX_ADU_LENGTH];
        int length = modbus_receive(context, request);
        if (length > 0)
            modbus_reply(context, request, length, map);
    }
}
