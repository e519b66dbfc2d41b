export * from './command.js';
export * from './play.js';
export * from './render.js';
export * from './result.js';
export * from './site.js';
export * from './stages.js';
export * from './story.js';
