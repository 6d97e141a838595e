// An edge node of somebody else: sparkplug-client publishes a pump behind a node.
// sparkplug_node.js PORT GROUP NODE
const { newClient } = require('sparkplug-client')

const [port, group, node] = process.argv.slice(2)
const client = newClient({
  serverUrl: `tcp://127.0.0.1:${port}`,
  username: '',
  password: '',
  groupId: group,
  edgeNode: node,
  clientId: `node-${node}`,
  version: 'spBv1.0',
})
let count = 0
const metrics = (more) => [
  { name: 'count', type: 'Int32', value: count },
  { name: 'pressure', type: 'Double', value: 4.25, properties: { engUnit: { type: 'String', value: 'bar' } } },
  ...more,
]
const details = [
  { name: 'offset', type: 'Int16', value: -300 },
  { name: 'total', type: 'UInt64', value: 9007199254740991 },
  { name: 'running', type: 'Boolean', value: true },
  { name: 'recipe', type: 'String', value: '研磨-7' },
]
const born = () => {
  client.publishNodeBirth({
    timestamp: Date.now(),
    metrics: [{ name: 'Node Control/Rebirth', type: 'Boolean', value: false }, { name: 'load', type: 'Float', value: 0.5 }],
  })
  client.publishDeviceBirth('pump', { timestamp: Date.now(), metrics: metrics(details) })
}
client.on('birth', () => { born(); console.log('ready') })
client.on('ncmd', (payload) => {
  if (payload.metrics.some((metric) => metric.name === 'Node Control/Rebirth' && metric.value)) {
    console.log('rebirth')
    born()
  }
})
setInterval(() => {
  count += 1
  client.publishDeviceData('pump', {
    timestamp: Date.now(),
    metrics: [{ name: 'count', type: 'Int32', value: count, timestamp: Date.now() }],
  })
}, 100)
