'use strict';
// Drives a running server with Tencent's own SDK: only endpoint and protocol
// are changed. Exit code 0 when every step held.
//
//   FRAMEMILL_ENDPOINT      host:port of the API
//   FRAMEMILL_SECRET_ID, FRAMEMILL_SECRET_KEY
//   FRAMEMILL_BUCKET        an input bucket (default: in)
//   FRAMEMILL_OBJECT        key of a media object there (default: clip.mp4)
//   FRAMEMILL_BUCKET_PATH   optional: the bucket's directory. A copy of the
//                           object is dropped there, to trigger the workflow
//   FRAMEMILL_TIMEOUT       seconds to wait for a task (default: 120)

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { mps } = require('tencentcloud-sdk-nodejs-mps');

for (const proxy of ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY'])
  delete process.env[proxy]; // the SDK would send through it

const env = (name, otherwise) => {
  const value = process.env[name] ?? otherwise;
  assert.notEqual(value, undefined, `${name} is not set`);
  return value;
};
const bucket = env('FRAMEMILL_BUCKET', 'in');
const object = env('FRAMEMILL_OBJECT', 'clip.mp4');
const bucketPath = process.env.FRAMEMILL_BUCKET_PATH;
const deadline = Date.now() + 1000 * Number(env('FRAMEMILL_TIMEOUT', '120'));

function connect(secretKey = env('FRAMEMILL_SECRET_KEY'), reqMethod = 'POST') {
  return new mps.v20190612.Client({
    credential: { secretId: env('FRAMEMILL_SECRET_ID'), secretKey },
    region: 'ap-guangzhou',
    profile: {
      signMethod: 'TC3-HMAC-SHA256',
      language: 'en-US',
      httpProfile: {
        protocol: 'http://', endpoint: env('FRAMEMILL_ENDPOINT'), reqMethod, reqTimeout: 60,
      },
    },
  });
}
const client = connect();

async function refused(code, call) {
  try {
    await call;
  } catch (e) {
    assert.equal(e.code, code, `${e.code}: ${e.message}`);
    assert.match(e.requestId, /^[0-9a-f-]{36}$/);
    return e;
  }
  assert.fail(`the call should have failed with ${code}`);
}

async function step(name, run) {
  process.stdout.write(`${name} … `);
  const result = await run();
  console.log('ok');
  return result;
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
async function until(what, probe) {
  while (Date.now() < deadline) {
    const found = await probe();
    if (found) return found;
    await pause(200);
  }
  assert.fail(`timed out waiting for ${what}`);
}

const input = (key = object) => ({
  Type: 'COS', CosInputInfo: { Bucket: bucket, Region: 'ap-guangzhou', Object: `/${key}` },
});
const tasks = {
  TranscodeTaskSet: [{ Definition: 100010 }],
  SampleSnapshotTaskSet: [{ Definition: 10 }],
};
const name = `sdk-${process.pid}-${Date.now()}`;
const directory = `/${name}/`;
const workflow = {
  WorkflowName: name,
  Trigger: {
    Type: 'CosFileUpload',
    CosFileUploadTrigger: { Bucket: bucket, Region: 'ap-guangzhou', Dir: directory },
  },
  OutputDir: `/${name}-out/`,
  MediaProcessTask: tasks,
  TaskPriority: 1,
};

/// The detail of the task, once it is finished.
async function finished(TaskId) {
  return until(`task ${TaskId}`, async () => {
    const detail = await client.DescribeTaskDetail({ TaskId });
    return detail.Status === 'FINISH' && detail;
  });
}

/// Drops a copy of the object where the workflow looks, and finds its task.
async function triggered() {
  const target = path.join(bucketPath, name, 'dropped.mp4');
  fs.mkdirSync(path.dirname(target), { recursive: true });
  fs.copyFileSync(path.join(bucketPath, object), target);
  return until('the triggered task', async () => {
    const { TaskSet } = await client.DescribeTasks({ Status: 'FINISH', Limit: 20 });
    for (const { TaskId } of TaskSet) {
      const detail = await client.DescribeTaskDetail({ TaskId });
      const info = (detail.WorkflowTask || detail.ScheduleTask)?.InputInfo.CosInputInfo;
      if (info?.Object === `${directory}dropped.mp4`) return detail;
    }
    return null;
  });
}

function checkOutputs(detail) {
  const task = detail.WorkflowTask;
  assert.equal(detail.TaskType, 'WorkflowTask');
  assert.equal(task.ErrCode, 0, task.Message);
  assert.ok(task.MetaData.Duration > 0);
  assert.deepEqual(task.MediaProcessResultSet.map((r) => r.Type), ['Transcode', 'SampleSnapshot']);
  const [{ TranscodeTask }, { SampleSnapshotTask }] = task.MediaProcessResultSet;
  assert.equal(TranscodeTask.Status, 'SUCCESS', TranscodeTask.Message);
  assert.equal(TranscodeTask.Progress, 100);
  assert.ok(TranscodeTask.Output.Path.endsWith('.mp4'));
  assert.ok(TranscodeTask.Output.Size > 0);
  assert.match(TranscodeTask.Output.Md5, /^[0-9a-f]{32}$/);
  assert.equal(SampleSnapshotTask.Status, 'SUCCESS', SampleSnapshotTask.Message);
  assert.ok(SampleSnapshotTask.Output.ImagePathSet.length > 0);
}

async function workflows() {
  const { WorkflowId } = await step('CreateWorkflow', () => client.CreateWorkflow(workflow));
  await step('DescribeWorkflows shows it, disabled', async () => {
    const { TotalCount, WorkflowInfoSet } =
      await client.DescribeWorkflows({ WorkflowIds: [WorkflowId] });
    assert.equal(TotalCount, 1);
    assert.equal(WorkflowInfoSet[0].Status, 'Disabled');
    assert.equal(WorkflowInfoSet[0].WorkflowName, name);
    assert.equal(WorkflowInfoSet[0].OutputDir, workflow.OutputDir);
    assert.equal(WorkflowInfoSet[0].MediaProcessTask.TranscodeTaskSet[0].Definition, 100010);
    assert.equal(WorkflowInfoSet[0].AiAnalysisTask, null);
  });
  await step('its name is taken', () =>
    refused('InvalidParameterValue', client.CreateWorkflow(workflow)));
  await step('EnableWorkflow', () => client.EnableWorkflow({ WorkflowId }));
  await step('enabled, it cannot be reset or deleted', async () => {
    await refused('FailedOperation', client.ResetWorkflow({ ...workflow, WorkflowId }));
    await refused('FailedOperation', client.DeleteWorkflow({ WorkflowId }));
  });
  if (bucketPath)
    await step('a dropped file is processed', async () => checkOutputs(await triggered()));
  await step('DisableWorkflow', () => client.DisableWorkflow({ WorkflowId }));
  await step('ResetWorkflow replaces everything', async () => {
    const { OutputDir, ...rest } = workflow;
    await client.ResetWorkflow({ ...rest, WorkflowId, TaskPriority: -2 });
    const { WorkflowInfoSet } = await client.DescribeWorkflows({ WorkflowIds: [WorkflowId] });
    assert.equal(WorkflowInfoSet[0].TaskPriority, -2);
    assert.equal(WorkflowInfoSet[0].OutputDir, '');
  });
  await step('DeleteWorkflow', async () => {
    await client.DeleteWorkflow({ WorkflowId });
    const { TotalCount } = await client.DescribeWorkflows({ WorkflowIds: [WorkflowId] });
    assert.equal(TotalCount, 0);
    await refused('ResourceNotFound.TemplateNotExist', client.EnableWorkflow({ WorkflowId }));
  });
}

/// A graph of two actions beside each other.
const activities = [
  { ActivityType: 'input', ReardriveIndex: [1, 2] },
  { ActivityType: 'action-trans', ReardriveIndex: [3],
    ActivityPara: { TranscodeTask: { Definition: 100010 } } },
  { ActivityType: 'action-samplesnapshot', ReardriveIndex: [3],
    ActivityPara: { SampleSnapshotTask: { Definition: 10 } } },
  { ActivityType: 'output', ActivityPara: {} },
];

function checkSchedule(detail) {
  assert.equal(detail.TaskType, 'ScheduleTask');
  assert.equal(detail.WorkflowTask, null);
  const task = detail.ScheduleTask;
  assert.equal(task.ErrCode, 0, task.Message);
  assert.deepEqual(task.ActivityResultSet.map((r) => r.ActivityType),
    ['Transcode', 'SampleSnapshot']);
  const [{ ActivityResItem }] = task.ActivityResultSet;
  assert.equal(ActivityResItem.TranscodeTask.Status, 'SUCCESS');
  assert.ok(ActivityResItem.TranscodeTask.Output.Size > 0);
}

async function schedules() {
  const schedule = {
    ScheduleName: name, Trigger: workflow.Trigger, Activities: activities,
    OutputDir: `/${name}-scheme/`,
  };
  const { ScheduleId } = await step('CreateSchedule', () => client.CreateSchedule(schedule));
  await step('DescribeSchedules shows its graph', async () => {
    const { TotalCount, ScheduleInfoSet: [info] } =
      await client.DescribeSchedules({ ScheduleIds: [ScheduleId] });
    assert.equal(TotalCount, 1);
    assert.equal(info.Status, 'Disabled');
    assert.deepEqual(info.Activities.map((a) => a.ReardriveIndex), [[1, 2], [3], [3], []]);
    assert.deepEqual(info.Activities[3].PredriveIndex, [1, 2]);
  });
  await step('ModifySchedule keeps what it does not name', async () => {
    await client.ModifySchedule({ ScheduleId, ScheduleName: `${name}-b` });
    const { ScheduleInfoSet: [info] } =
      await client.DescribeSchedules({ ScheduleIds: [ScheduleId] });
    assert.equal(info.ScheduleName, `${name}-b`);
    assert.equal(info.Activities.length, activities.length);
  });
  await step('EnableSchedule, DisableSchedule', async () => {
    await client.EnableSchedule({ ScheduleId });
    await refused('FailedOperation', client.DeleteSchedule({ ScheduleId }));
    await client.DisableSchedule({ ScheduleId });
  });
  await step('ProcessMedia runs it', async () => {
    const { TaskId } = await client.ProcessMedia({ InputInfo: input(), ScheduleId });
    checkSchedule(await finished(TaskId));
  });
  await step('ProcessMedia runs a graph of its own', async () => {
    const { TaskId } = await client.ProcessMedia({
      InputInfo: input(), Activities: activities, OutputDir: `/${name}-graph/`,
    });
    checkSchedule(await finished(TaskId));
  });
  await step('DeleteSchedule', async () => {
    await client.DeleteSchedule({ ScheduleId });
    await refused('ResourceNotFound.TemplateNotExist', client.EnableSchedule({ ScheduleId }));
  });
}

async function edits() {
  const edit = {
    FileInfos: [
      { InputInfo: input(), EndTimeOffset: 1 },
      { InputInfo: input(), StartTimeOffset: 0.5, EndTimeOffset: 1 },
    ],
    OutputStorage: {
      Type: 'COS', CosOutputStorage: { Bucket: bucket, Region: 'ap-guangzhou' },
    },
    OutputObjectPath: `/${name}-edit/both.{format}`,
  };
  await step('EditMedia puts files one after the other', async () => {
    const { TaskId } = await client.EditMedia(edit);
    const { TaskType, EditMediaTask } = await finished(TaskId);
    assert.equal(TaskType, 'EditMediaTask');
    assert.equal(EditMediaTask.ErrCode, 0, EditMediaTask.Message);
    assert.equal(EditMediaTask.Input.FileInfoSet.length, 2);
    assert.ok(EditMediaTask.Output.Path.endsWith('.mp4'));
  });
  await step('what EditMedia does not do here is refused', () =>
    refused('UnsupportedOperation',
      client.EditMedia({ ...edit, ComposeConfig: { Canvas: { Color: '#000000' } } })));
}

async function media() {
  await step('DescribeMediaMetaData', async () => {
    const { MetaData } = await client.DescribeMediaMetaData({ InputInfo: input() });
    assert.ok(MetaData.Size > 0 && MetaData.Duration > 0);
    assert.ok(MetaData.VideoStreamSet.length > 0);
    await refused('InvalidParameterValue.SrcFile',
      client.DescribeMediaMetaData({ InputInfo: { ...input(), CosInputInfo: {
        ...input().CosInputInfo, Bucket: 'no-such-bucket' } } }));
  });
  const request = {
    InputInfo: input(), OutputDir: `/${name}-call/`, MediaProcessTask: tasks,
    SessionId: name.slice(0, 50), SessionContext: 'a context',
  };
  const { TaskId } = await step('ProcessMedia', () => client.ProcessMedia(request));
  await step('a SessionId works once', () =>
    refused('InvalidParameterValue.SessionId', client.ProcessMedia(request)));
  await step('DescribeTaskDetail', async () => {
    const detail = await finished(TaskId);
    assert.equal(detail.SessionContext, 'a context');
    checkOutputs(detail);
    await refused('ResourceNotFound', client.DescribeTaskDetail({ TaskId: 'no-such-task' }));
  });
  await step('DescribeTasks pages through what is finished', async () => {
    const first = await client.DescribeTasks({ Status: 'FINISH', Limit: 1 });
    assert.equal(first.TaskSet.length, 1);
    assert.ok(first.TotalCount >= 1);
    await refused('InvalidParameterValue', client.DescribeTasks({ Status: 'DONE' }));
    await refused('InvalidParameterValue.Limit',
      client.DescribeTasks({ Status: 'FINISH', Limit: 1000 }));
  });
  await step('ManageTask refuses what is finished or unknown', async () => {
    await refused('InvalidParameterValue.NotProcessingTask',
      client.ManageTask({ OperationType: 'Abort', TaskId }));
    await refused('InvalidParameterValue.TaskId',
      client.ManageTask({ OperationType: 'Abort', TaskId: 'no-such-task' }));
    await refused('InvalidParameterValue.InvalidOperationType',
      client.ManageTask({ OperationType: 'Pause', TaskId }));
  });
}

const families = {
  Transcode: [
    { Container: 'mp4', VideoTemplate: { Codec: 'h264', Fps: 25, Bitrate: 800, Width: 640 },
      AudioTemplate: { Codec: 'aac', Bitrate: 64, SampleRate: 44100 } },
    { VideoTemplate: { Bitrate: 900 } }],
  Watermark: [
    { Type: 'text', TextTemplate: { FontType: 'arial.ttf', FontSize: '24px',
      FontColor: '0xFFFFFF', FontAlpha: 0.5 } },
    { XPos: '20px' }],
  SnapshotByTimeOffset: [{ Width: 640 }, { Width: 320 }],
  SampleSnapshot: [{ SampleType: 'Percent', SampleInterval: 20 }, { SampleInterval: 25 }],
  ImageSprite: [
    { SampleType: 'Time', SampleInterval: 5, RowCount: 4, ColumnCount: 4 }, { RowCount: 5 }],
  AnimatedGraphics: [{ Fps: 5 }, { Fps: 7 }],
};

async function templates() {
  for (const [family, [create, change]] of Object.entries(families)) {
    await step(`${family} templates`, async () => {
      const { Definition } = await client[`Create${family}Template`](create);
      const describe = () =>
        client[`Describe${family}Templates`]({ Definitions: [Definition] });
      await client[`Modify${family}Template`]({ Definition, ...change });
      const [item] = (await describe())[`${family}TemplateSet`];
      assert.equal(Number(item.Definition), Definition);
      assert.equal(typeof item.Definition, family === 'Transcode' ? 'string' : 'number');
      await client[`Delete${family}Template`]({ Definition });
      assert.equal((await describe()).TotalCount, 0);
    });
  }
  await step('a preset stays as it is', async () => {
    await refused('InvalidParameterValue.DeleteDefaultTemplate',
      client.DeleteTranscodeTemplate({ Definition: 100010 }));
    await refused('InvalidParameterValue.ModifyDefaultTemplate',
      client.ModifyTranscodeTemplate({ Definition: 100010, Name: 'mine' }));
  });
}

async function errors() {
  await step('a wrong key is noticed', () =>
    refused('AuthFailure.SignatureFailure', connect('wrong').DescribeWorkflows({})));
  await step('an unknown parameter is named', async () => {
    const e = await refused('UnknownParameter', client.DescribeWorkflows({ Colour: 'red' }));
    assert.match(e.message, /Colour/);
  });
  await step('an action that is not ours is InvalidAction', () =>
    refused('InvalidAction', client.DescribeLiveRecordTemplates({})));
  await step('what we do not do is UnsupportedOperation', () =>
    refused('UnsupportedOperation', client.ProcessMedia({
      InputInfo: input(), AiAnalysisTask: { Definition: 10 } })));
  await step('GET works like POST', async () => {
    const get = connect(undefined, 'GET');
    const { TotalCount } = await get.DescribeWorkflows({ WorkflowIds: [1, 2], Limit: 5 });
    assert.equal(typeof TotalCount, 'number');
  });
}

(async () => {
  await workflows();
  await schedules();
  await edits();
  await media();
  await templates();
  await errors();
  console.log('all held');
})().catch((e) => {
  console.log('FAILED');
  console.error(e);
  process.exitCode = 1;
});
