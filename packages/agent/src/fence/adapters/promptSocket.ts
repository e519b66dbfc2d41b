import type { Socket } from 'node:net';

/** A socket that an SSH login goes over, made fit for small packets in quick turns. */
export interface PromptSocket {
  /**
   * From now until `stop`: calls `answer` after each piece of data that nothing was written in reply to, at most
   * `most` times. Whatever `answer` writes carries the acknowledgement of that data.
   */
  answerData(answer: () => void, most: number): { stop(): void };
}

/**
 * Two habits of TCP cost a login more than its cryptography, and Node can set neither option against them:
 *
 * - ssh2 writes an encrypted packet in three parts, and without Nagle's delay each would be a segment of its own,
 *   for which the other side's sshd wakes up. What is written within one turn travels together here.
 * - sshd sends small packets with Nagle's delay until the program runs: the second one waits for the
 *   acknowledgement of the first, which our kernel keeps back for 40 ms in the hope of data to send with
 *   it. `answerData` sends some.
 */
export function promptSocket(socket: Socket): PromptSocket {
  const write = socket.write.bind(socket);
  let [corked, writes] = [false, 0];
  const together = (...args: Parameters<typeof write>): boolean => {
    writes += 1;
    if (!corked) {
      corked = true;
      socket.cork();
      queueMicrotask(() => {
        corked = false;
        socket.uncork();
      });
    }
    return write(...args);
  };
  socket.write = together as typeof socket.write;
  return {
    answerData: (answer, most) => {
      let [left, seen] = [most, writes];
      // Behind ssh2's own listener, which has answered by then if it is going to.
      const onData = (): void => {
        if (writes === seen && left > 0) {
          left -= 1;
          answer();
        }
        seen = writes;
      };
      socket.on('data', onData);
      return { stop: () => void socket.off('data', onData) };
    },
  };
}
