// An OPC UA server on node-opcua: a milling machine that this project did not write.
// Usage: node mill.js PORT FOLDER   (FOLDER for its certificates)
"use strict";
const path = require("path");
const { DataType, OPCUACertificateManager, OPCUAServer, Variant, VariantArrayType } = require("node-opcua");

async function main() {
    const [port, folder] = process.argv.slice(2);
    const certificates = new OPCUACertificateManager({
        automaticallyAcceptUnknownCertificate: true,
        rootFolder: path.join(folder, "pki"),
    });
    const server = new OPCUAServer({
        port: Number(port),
        hostname: "127.0.0.1",
        resourcePath: "/mill",
        serverCertificateManager: certificates,
        buildInfo: { productName: "Mill", manufacturerName: "Foreign", softwareVersion: "4.2" },
    });
    await server.initialize();
    const space = server.engine.addressSpace;
    const own = space.registerNamespace("urn:foreign:mill");
    const mill = own.addObject({ organizedBy: space.rootFolder.objects, browseName: "Mill" });

    let counter = 0;
    const arrayType = VariantArrayType.Scalar;
    const shown = {
        State: [DataType.Int32, () => 3],
        Counter: [DataType.UInt32, () => counter],
        Temperature: [DataType.Double, () => 61.5],
        Override: [DataType.Float, () => 0.75],
        Running: [DataType.Boolean, () => true],
        Program: [DataType.String, () => "BRACKET-7"],
        Parts: [DataType.Int64, () => [0, 4711]],
    };
    for (const [name, [dataType, value]] of Object.entries(shown)) {
        own.addVariable({
            componentOf: mill,
            nodeId: `s=Mill.${name}`,
            browseName: name,
            dataType: DataType[dataType],
            minimumSamplingInterval: 50,
            value: { get: () => new Variant({ arrayType, dataType, value: value() }) },
        });
    }
    setInterval(() => { counter += 1; }, 200);
    await server.start();
    console.log("ready");
    process.on("SIGTERM", () => server.shutdown(0, () => process.exit(0)));
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
