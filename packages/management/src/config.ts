import { loadConfig, type ConfigSources } from '@fenceline/common';
import { Address, Optional, Part, Port, rule } from '@fenceline/protocol';
import { IsIn, IsString, MaxLength } from 'class-validator';
import { HaSettings, HostSettings, Settings, settingsProblems } from './settings/settings.js';

/** An absolute path: a relative one would depend on where the server was started. */
const AbsolutePath = () =>
  rule('isAbsolutePath', '$property must be an absolute path', {
    holds: (value) => typeof value === 'string' && /^\/[^\0]{1,4095}$/.test(value),
  });

export class ListenSection {
  /** Where the API listens; `::` is every address of this machine. */
  @Address() address = '::';
  @Port() port = 8443;
}

export class ApiTlsSection {
  @AbsolutePath() ca = '/etc/fenceline/tls/ca.pem';
  @AbsolutePath() cert = '/etc/fenceline/tls/api.pem';
  @AbsolutePath() key = '/etc/fenceline/tls/api.key';
}

export class AgentTlsSection {
  @AbsolutePath() ca = '/etc/fenceline/tls/ca.pem';
  /** The certificate bears role `server`: agents obey it. */
  @AbsolutePath() cert = '/etc/fenceline/tls/server.pem';
  @AbsolutePath() key = '/etc/fenceline/tls/server.key';
}

export class TlsSection {
  /** Shown to those who call the API. */
  @Optional() @Part(() => ApiTlsSection) api = new ApiTlsSection();
  /** Shown to agents. */
  @Optional() @Part(() => AgentTlsSection) agents = new AgentTlsSection();
}

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;

export class LogSection {
  @IsIn(LOG_LEVELS) level: (typeof LOG_LEVELS)[number] = 'info';
  /** Besides standard error; empty: no file. */
  @IsString() @MaxLength(4_096) file = '';
}

/** `/etc/fenceline/server.yaml`. Settings given here are the base that the API can override. */
export class ServerConfig {
  @Optional() @Part(() => ListenSection) server = new ListenSection();
  /** Database and lock; only this server may use it. */
  @AbsolutePath() stateDir = '/var/lib/fenceline/server';
  @Optional() @Part(() => TlsSection) tls = new TlsSection();
  @Optional() @Part(() => LogSection) log = new LogSection();
  @Optional() @Part(() => HaSettings) ha = new HaSettings();
  @Optional() @Part(() => HostSettings) host = new HostSettings();
}

/** @throws ConfigError listing every problem. */
export function loadServerConfig(sources: ConfigSources): ServerConfig {
  return loadConfig(ServerConfig, sources, (config) => settingsProblems(baseSettings(config)));
}

/** The settings of the file, before what the API has changed. */
export function baseSettings(config: ServerConfig): Settings {
  return Object.assign(new Settings(), { ha: config.ha, host: config.host });
}
