// An OPC UA server on node-opcua with one folder that holds many variables.
// Usage: node flat.js PORT FOLDER COUNT   (FOLDER for its certificates)
"use strict";
const path = require("path");
const { DataType, OPCUACertificateManager, OPCUAServer, Variant } = require("node-opcua");

const URI = "urn:onelot:bench";
const ENOUGH = 100_000;

async function main() {
    const [port, folder, count] = process.argv.slice(2);
    const server = new OPCUAServer({
        port: Number(port),
        hostname: "127.0.0.1",
        serverCertificateManager: new OPCUACertificateManager({
            automaticallyAcceptUnknownCertificate: true,
            rootFolder: path.join(folder, "pki"),
        }),
        serverCapabilities: {
            maxMonitoredItems: ENOUGH,
            maxMonitoredItemsPerSubscription: ENOUGH,
            maxSubscriptions: 100,
        },
    });
    await server.initialize();
    const space = server.engine.addressSpace;
    const own = space.registerNamespace(URI);
    const flat = own.addFolder(space.rootFolder.objects, { browseName: "Flat", nodeId: "s=Flat" });
    const step = Math.ceil(count / 4);
    for (let n = 0; n < count; n += 1) {
        own.addVariable({
            organizedBy: flat,
            nodeId: `i=${n + 1}`,
            browseName: `Tag${n}`,
            dataType: "Double",
            minimumSamplingInterval: 100,
            value: new Variant({ dataType: DataType.Double, value: 0 }),
        });
        if (n % step === step - 1) console.log(`${n + 1} variables`);
    }
    await server.start();
    console.log("ready");
    process.on("SIGTERM", () => server.shutdown(0, () => process.exit(0)));
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
