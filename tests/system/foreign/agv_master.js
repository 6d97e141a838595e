// A master control that this project did not write: vda-5050-lib drives our vehicle, in two pieces.
const { MasterController, BlockingType } = require("vda-5050-lib");

const [brokerUrl, manufacturer, serialNumber] = process.argv.slice(2);
const agv = { manufacturer, serialNumber };

function node(number, released, actions = []) {
    return {
        nodeId: `n${number}`,
        sequenceId: 2 * number,
        released,
        nodePosition: { x: 4 * number, y: 0, mapId: "m" },
        actions,
    };
}

function edge(number, released) {
    return {
        edgeId: `e${number}`,
        sequenceId: 2 * number + 1,
        released,
        startNodeId: `n${number}`,
        endNodeId: `n${number + 1}`,
        actions: [],
    };
}

function action(actionId, actionType) {
    return { actionId, actionType, blockingType: BlockingType.Hard, actionParameters: [] };
}

async function main() {
    const master = new MasterController(
        { interfaceName: "uagv", transport: { brokerUrl }, vdaVersion: "2.0.0" },
        {},
    );
    await master.start();
    const orderId = master.createUuid();
    let asked = false;
    const handler = {
        onNodeTraversed: traversed => {
            console.log(`node ${traversed.nodeId}`);
            if (traversed.nodeId === "n1" && !asked) {
                asked = true;
                master.assignOrder(agv, {
                    orderId,
                    orderUpdateId: 1,
                    nodes: [node(1, true), node(2, true, [action("a2", "pick")]), node(3, true, [action("a3", "drop")])],
                    edges: [edge(1, true), edge(2, true)],
                }, handler);
            }
        },
        onEdgeTraversed: () => { },
        onEdgeTraversing: () => { },
        onActionStateChanged: state => console.log(`action ${state.actionId} ${state.actionStatus}`),
        onOrderProcessed: (error, byCancelation, active) => {
            console.log(`processed error=${error ? error.errorType : "none"} active=${active === true}`);
            if (!active) {
                master.initiateInstantActions(agv, {
                    instantActions: [{ ...action("i1", "cancelOrder"), blockingType: BlockingType.None }],
                }, {
                    onActionStateChanged: (state, failure) =>
                        console.log(`instant ${state.actionStatus} ${failure ? failure.errorType : "no error"}`),
                    onActionError: failure => console.log(`instant error ${failure.errorType}`),
                });
            }
        },
    };
    const refused = await master.assignOrder(agv, {
        orderId,
        orderUpdateId: 0,
        nodes: [node(0, true), node(1, true), node(2, false), node(3, false)],
        edges: [edge(0, true), edge(1, false), edge(2, false)],
    }, handler);
    console.log(refused === undefined ? "ready" : `ready refused ${refused}`);
}

main().catch(error => {
    console.error(error);
    process.exit(1);
});
