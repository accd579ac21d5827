// Uses both APIs of a queue service with the published package googleapis. Usage: node client.js BASE_URL.
// Prints a line for each step, and exits with 1 and the error of the first step that fails.
"use strict";

const assert = require("node:assert/strict");
const { google } = require("googleapis");

const PAYLOAD = Buffer.from('{"a": 1}').toString("base64");
const QUEUE = { project: "s~shop", taskqueue: "node" };
const LOCATION = "projects/shop/locations/here";
const NAME = `${LOCATION}/queues/node-cloud`;

async function refused(promise, status, text) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.status, status);
    assert.match(error.message, text);
    return true;
  });
}

async function taskQueueSteps(rootUrl) {
  const client = await google.discoverAPI(`${rootUrl}api/taskqueue/v1beta2`);
  const tasks = client.tasks;
  let token;
  return {
    "insert tasks": async () => {
      for (const id of ["one", "two", "three"]) {
        const body = { id, queueName: "node", payloadBase64: PAYLOAD, tag: "x" };
        assert.equal((await tasks.insert({ ...QUEUE, resource: body })).data.id, id);
      }
    },
    "refuse a duplicate": () =>
      refused(tasks.insert({ ...QUEUE, resource: { id: "one", payloadBase64: PAYLOAD } }), 409, /already exists/),
    "list tasks": async () => {
      const { data } = await tasks.list(QUEUE);
      assert.deepEqual(data.items.map((task) => task.id), ["one", "two", "three"]);
      assert.equal(data.kind, "taskqueues#tasks");
    },
    "select fields": async () => {
      const { data } = await tasks.list({ ...QUEUE, fields: "items(id)", prettyPrint: false });
      assert.deepEqual(data, { items: [{ id: "one" }, { id: "two" }, { id: "three" }] });
    },
    "lease tasks": async () => {
      const { data } = await tasks.lease({ ...QUEUE, numTasks: 2, leaseSecs: 60, groupByTag: true, tag: "x" });
      assert.deepEqual(data.items.map((task) => task.id), ["one", "two"]);
      token = data.items[0].leaseTimestamp;
    },
    "patch a task": async () => {
      const body = { queueName: "node", leaseTimestamp: token };
      const { data } = await tasks.patch({ ...QUEUE, task: "one", newLeaseSeconds: 120, resource: body });
      assert.notEqual(data.leaseTimestamp, token);
      token = data.leaseTimestamp;
    },
    "update a task": async () => {
      const body = { id: "one", queueName: "node", leaseTimestamp: token };
      const { data } = await tasks.update({ ...QUEUE, task: "one", newLeaseSeconds: 0, resource: body });
      assert.equal(data.retry_count, 1);
    },
    "get a task": async () =>
      assert.equal((await tasks.get({ ...QUEUE, task: "one" })).data.payloadBase64, PAYLOAD),
    "delete a task": async () => assert.equal((await tasks.delete({ ...QUEUE, task: "one" })).status, 204),
    "miss a task": () => refused(tasks.get({ ...QUEUE, task: "one" }), 404, /does not exist/),
    "get the queue": async () => {
      const { data } = await client.taskqueues.get({ ...QUEUE, getStats: true });
      assert.equal(data.stats.totalTasks, 2);
    },
  };
}

function cloudTasksSteps(rootUrl) {
  const queues = google.cloudtasks({ version: "v2beta2", rootUrl }).projects.locations.queues;
  const tasks = queues.tasks;
  let held;
  return {
    "create a queue": async () => {
      const { data } = await queues.create({ parent: LOCATION, requestBody: { name: NAME } });
      assert.equal(data.state, "RUNNING");
    },
    "create tasks": async () => {
      for (const id of ["a", "b", "c"]) {
        const task = { name: `${NAME}/tasks/${id}`, pullMessage: { payload: PAYLOAD, tag: "x" } };
        const { data } = await tasks.create({ parent: NAME, requestBody: { task, responseView: "FULL" } });
        assert.equal(data.pullMessage.payload, PAYLOAD);
      }
    },
    "list pages of tasks": async () => {
      const found = [];
      let pageToken;
      do {
        const { data } = await tasks.list({ parent: NAME, pageSize: 2, pageToken });
        found.push(...data.tasks.map((task) => task.name.slice(-1)));
        pageToken = data.nextPageToken;
      } while (pageToken);
      assert.deepEqual(found, ["a", "b", "c"]);
    },
    "get enums as numbers": async () => {
      const parameters = { name: `${NAME}/tasks/a`, responseView: 2, alt: "json;enum-encoding=int", fields: "view" };
      assert.deepEqual((await tasks.get(parameters)).data, { view: 2 });
    },
    "lease tasks": async () => {
      const body = { maxTasks: 1, leaseDuration: "60s", filter: "tag=x", responseView: "FULL" };
      const { data } = await tasks.lease({ parent: NAME, requestBody: body });
      [held] = data.tasks;
      assert.equal(held.name, `${NAME}/tasks/a`);
    },
    "renew a lease": async () => {
      const body = { scheduleTime: held.scheduleTime, leaseDuration: "90s" };
      held = (await tasks.renewLease({ name: held.name, requestBody: body })).data;
    },
    "refuse a former lease": () => {
      const body = { scheduleTime: "2020-01-01T00:00:00Z" };
      return refused(tasks.acknowledge({ name: held.name, requestBody: body }), 400, /not that of the current lease/);
    },
    "cancel a lease": async () => {
      const body = { scheduleTime: held.scheduleTime };
      assert.equal((await tasks.cancelLease({ name: held.name, requestBody: body })).data.view, "BASIC");
    },
    "acknowledge a task": async () => {
      const body = { maxTasks: 1, leaseDuration: "60s" };
      const [task] = (await tasks.lease({ parent: NAME, requestBody: body })).data.tasks;
      const { data } = await tasks.acknowledge({ name: task.name, requestBody: { scheduleTime: task.scheduleTime } });
      assert.deepEqual(data, {});
    },
    "delete a task": async () => assert.deepEqual((await tasks.delete({ name: `${NAME}/tasks/c` })).data, {}),
    "pause, resume and purge": async () => {
      assert.equal((await queues.pause({ name: NAME, requestBody: {} })).data.state, "PAUSED");
      assert.equal((await queues.resume({ name: NAME })).data.state, "RUNNING");
      assert.equal((await queues.purge({ name: NAME })).data.name, NAME);
      assert.deepEqual((await tasks.list({ parent: NAME })).data, {});
    },
    "list queues": async () => {
      const { data } = await queues.list({ parent: LOCATION, readMask: "name,stats" });
      assert.equal(data.queues.find((queue) => queue.name === NAME).stats.tasksCount, "0");
    },
  };
}

async function main() {
  const rootUrl = `${process.argv[2].replace(/\/$/, "")}/`;
  let count = 0;
  for (const [api, steps] of [
    ["taskqueue v1beta2", await taskQueueSteps(rootUrl)],
    ["cloudtasks v2beta2", cloudTasksSteps(rootUrl)],
  ]) {
    for (const [name, step] of Object.entries(steps)) {
      process.stdout.write(`${api}: ${name}\n`);
      await step();
      count += 1;
    }
  }
  process.stdout.write(`${count} steps passed\n`);
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
