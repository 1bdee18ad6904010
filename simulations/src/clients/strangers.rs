//! Connections of nobody: they say nothing, too little, or nothing that makes sense. A node answers or closes, and goes
//! on.

use crate::{
    clients::PORT,
    promises::tenants,
    world::{World, machine::MachineId},
};
use cluster::host::{Entropy, Host};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How long a stranger holds its connection at most.
const STAYS: Duration = Duration::from_secs(15);

const SAYS: [&[u8]; 7] = [
    b"",
    b"GET /connect HTTP/1.1\r\nHost: waggle\r\n",
    b"GET /connect HTTP/1.1\r\nHost: waggle\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
      Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
      Sec-WebSocket-Protocol: waggle.v1.json\r\n\r\n",
    b"POST /api/chat.postMessage HTTP/1.1\r\nHost: waggle\r\nContent-Length: 1000000\r\n\r\n{",
    b"POST /api/conversations.list HTTP/1.1\r\nHost: waggle\r\nAuthorization: Bearer xoxp-nobody\r\n\
      Content-Length: 0\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET /rtm/none HTTP/1.1\r\nHost: waggle\r\n\r\n",
];

/// Comes, says something, waits, goes.
pub async fn visit(world: World, me: MachineId, host: Host, server: MachineId, chance: Entropy) {
    world.count("visits", 1);
    let Ok(mut stream) = world.connect(me, server, PORT).await else { return };
    let said = SAYS[chance.below(SAYS.len() as u64) as usize];
    let talk = async {
        for byte in said.chunks(1 + chance.below(60) as usize) {
            if stream.write_all(byte).await.is_err() {
                return;
            }
            host.sleep(Duration::from_millis(chance.below(40))).await;
        }
        let mut answer = vec![0; 512];
        // Whatever comes, until nothing does.
        let mut heard = Vec::new();
        while let Ok(bytes @ 1..) = stream.read(&mut answer).await {
            heard.extend_from_slice(&answer[..bytes]);
        }
        // No workspace has this number: nothing of any is theirs.
        if let Err(violation) = tenants::seen(usize::MAX, usize::MAX, &heard) {
            world.violate(violation);
        }
    };
    // Whoever stays longer goes.
    let _ = host.timeout(STAYS, talk).await;
}
