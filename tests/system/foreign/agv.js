// A vehicle that this project did not write: vda-5050-lib's virtual AGV on a broker.
const { AgvController, VirtualAgvAdapter } = require("vda-5050-lib");

const [brokerUrl, serialNumber] = process.argv.slice(2);

async function main() {
    const vehicle = new AgvController(
        { manufacturer: "foreign", serialNumber },
        { interfaceName: "uagv", transport: { brokerUrl }, vdaVersion: "2.0.0" },
        { agvAdapterType: VirtualAgvAdapter },
        {
            initialPosition: { mapId: "m", x: 0, y: 0, theta: 0, lastNodeId: "n0" },
            vehicleSpeed: 4,
            stateUpdateFrequency: 5,
        },
    );
    await vehicle.start();
    console.log("ready");
}

main().catch(error => {
    console.error(error);
    process.exit(1);
});
