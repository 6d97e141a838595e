// An OPC UA server on node-opcua with an alarm (OPC 10000-9): a press that grows hot.
// Usage: node alarms.js PORT FOLDER   (FOLDER for its certificates)
"use strict";
const path = require("path");
const { OPCUACertificateManager, OPCUAServer, Variant, DataType } = require("node-opcua");

async function main() {
    const [port, folder] = process.argv.slice(2);
    const server = new OPCUAServer({
        port: Number(port),
        hostname: "127.0.0.1",
        serverCertificateManager: new OPCUACertificateManager({
            automaticallyAcceptUnknownCertificate: true,
            rootFolder: path.join(folder, "pki"),
        }),
    });
    await server.initialize();
    const space = server.engine.addressSpace;
    space.installAlarmsAndConditionsService();
    const own = space.registerNamespace("urn:foreign:press");
    const press = own.addObject({
        organizedBy: space.rootFolder.objects,
        browseName: "Press",
        nodeId: "s=Press",
        notifierOf: space.rootFolder.objects.server,
        eventNotifier: 1,
    });
    const temperature = own.addVariable({
        componentOf: press,
        nodeId: "s=Press.Temperature",
        browseName: "Temperature",
        dataType: "Double",
        eventSourceOf: press,
        accessLevel: "CurrentRead | CurrentWrite",
        userAccessLevel: "CurrentRead | CurrentWrite",
        value: new Variant({ dataType: DataType.Double, value: 20 }),
    });
    own.instantiateExclusiveLimitAlarm("ExclusiveLimitAlarmType", {
        browseName: "Hot",
        nodeId: "s=Press.Hot",
        componentOf: press,
        conditionSource: temperature,
        inputNode: temperature,
        conditionName: "Hot",
        highHighLimit: 120,
        highLimit: 80,
        lowLimit: -10,
        lowLowLimit: -20,
    });
    await server.start();
    console.log("ready");
    process.on("SIGTERM", () => server.shutdown(0, () => process.exit(0)));
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
