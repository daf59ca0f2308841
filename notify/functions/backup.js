'use strict';
// Keeps the record of each finished task: BACKUP_DIR/TASK-ID.json in BACKUP_BUCKET.
// The sandbox has no bucket: the answer says what is to be written, and the daemon
// writes it, whole or not at all, where a grant allows it. A second delivery
// writes the same file again.

exports.main_handler = async (event) => {
  const bucket = process.env.BACKUP_BUCKET;
  if (!bucket) throw new Error('BACKUP_BUCKET is not set');
  const task = event.WorkflowTaskEvent || event.EditMediaTaskEvent || event.ScheduleTaskEvent;
  if (!task) throw new Error(`no task in an event of type ${event.EventType}`);
  if (task.Status !== 'FINISH') {
    console.log(`${task.TaskId} is ${task.Status}: nothing to keep yet`);
    return { files: [] };
  }
  const dir = (process.env.BACKUP_DIR || 'backup/').replace(/\/*$/, '/').replace(/^\/+/, '');
  const key = `${dir}${task.TaskId}.json`;
  console.log(`${task.TaskId} goes to ${bucket}/${key}`);
  return { files: [{ bucket, key, body: JSON.stringify(event, null, 2) + '\n' }] };
};
