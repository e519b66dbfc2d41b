import { Secret, type SealedBox } from '@fenceline/common';
import type { LoginText } from '@fenceline/protocol';
import type { LoginKind } from '@fenceline/protocol';
import type { Queryable, Store } from '../store/store.js';

/**
 * Seals secrets for the database, with a key that is not in it: logins of hosts, parameters of their
 * power devices, order tokens. `owner` names the one of which it is: what was sealed for one opens for
 * it only.
 */
export interface LoginVault {
  seal(owner: string, secret: Secret): Promise<string>;
  /** @throws Error, without a word of it, if it was sealed with another key or for another owner. */
  open(owner: string, sealed: string): Promise<Secret>;
  /** For the one who has the other half of this key. @throws Error if it is no key. */
  sealFor(publicKey: string, text: Secret, context: string): SealedBox;
}

/** A login to a host that has no entry for its siblings' keys (F30). */
export interface NewHostLogin {
  kind: LoginKind;
  /** The password, or the private key as a file has it. */
  secret: Secret;
  /** Of the private key. */
  passphrase?: Secret;
}

/** The logins of hosts: sealed at rest, opened for one call. */
export interface HostLogins {
  set(hostUuid: string, login: NewHostLogin): Promise<void>;
  remove(hostUuid: string, on?: Queryable): Promise<void>;
  has(hostUuid: string): Promise<boolean>;
  /**
   * The login as a text that a peer understands, sealed for its key; undefined if there is none.
   * @throws Error if it can't be read any more.
   */
  sealedFor(
    hostUuid: string,
    peer: { publicKey: string; context: string },
  ): Promise<SealedBox | undefined>;
}

export function makeHostLogins(store: Store, vault: LoginVault): HostLogins {
  const sealedOf = async (hostUuid: string): Promise<string | undefined> => {
    const query = store.db.selectFrom('hostLogins').select('sealed');
    return (await query.where('hostUuid', '=', hostUuid).executeTakeFirst())?.sealed;
  };
  return {
    async set(hostUuid, login) {
      const row = { kind: login.kind, sealed: await vault.seal(hostUuid, textOf(login)) };
      await store.db
        .insertInto('hostLogins')
        .values({ hostUuid, ...row })
        .onConflict((conflict) => conflict.column('hostUuid').doUpdateSet(row))
        .execute();
    },
    async remove(hostUuid, on = store.db) {
      await on.deleteFrom('hostLogins').where('hostUuid', '=', hostUuid).execute();
    },
    has: async (hostUuid) => (await sealedOf(hostUuid)) !== undefined,
    async sealedFor(hostUuid, { publicKey, context }) {
      const sealed = await sealedOf(hostUuid);
      if (sealed === undefined) return undefined;
      return vault.sealFor(publicKey, await vault.open(hostUuid, sealed), context);
    },
  };
}

function textOf({ kind, secret, passphrase }: NewHostLogin): Secret {
  const text: LoginText =
    kind === 'password'
      ? { kind, password: secret.reveal() }
      : {
          kind,
          privateKey: secret.reveal(),
          ...(passphrase === undefined ? {} : { passphrase: passphrase.reveal() }),
        };
  return new Secret(JSON.stringify(text));
}
