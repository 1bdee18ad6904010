use super::*;
use crate::machine::{Machine, Threads};
use futures::{SinkExt, StreamExt};
use std::time::Duration;
use tokio::io::{AsyncReadExt, DuplexStream, duplex};
use tokio_tungstenite::WebSocketStream;
use tungstenite::protocol::Role;

const FRAME_MAX: usize = 64 * 1024;

type Client = WebSocketStream<DuplexStream>;

fn machine() -> Machine {
    Machine::start(Threads { shards: 1, workers: 1, blocking_max: 1 }).unwrap()
}

fn limits(machine: &Machine) -> Arc<SocketLimits> {
    let close_timeout = Duration::from_millis(50);
    Arc::new(SocketLimits {
        host: machine.host(),
        frame_bytes_max: FRAME_MAX,
        control_frames_per_s_max: 10,
        close_timeout,
    })
}

/// A server socket whose far end holds at most `room` bytes that nobody has read, and that far end.
fn raw(machine: &Machine, room: usize) -> (Socket<DuplexStream>, DuplexStream) {
    let (near, far) = duplex(room);
    (Socket::new(near, &[], limits(machine)), far)
}

async fn pair(machine: &Machine, room: usize) -> (Socket<DuplexStream>, Client) {
    let (socket, far) = raw(machine, room);
    (socket, WebSocketStream::from_raw_socket(far, Role::Client, None).await)
}

/// A client's frame with the mask 0, so that the payload is readable here.
fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() < 126);
    [&[first, 0x80 | payload.len() as u8, 0, 0, 0, 0], payload].concat()
}

async fn next(socket: &mut Socket<DuplexStream>) -> Option<Result<Incoming, SocketError>> {
    socket.next().await
}

#[test]
fn messages_arrive_whole_however_they_are_cut() {
    let machine = machine();
    machine.block_on(async {
        let (mut socket, mut far) = raw(&machine, FRAME_MAX);
        let bytes = [
            client_frame(0x01, b"frag"),
            client_frame(0x89, b"between"),
            client_frame(0x80, b"mented"),
            client_frame(0x82, &[0, 255]),
            client_frame(0x8a, b""),
        ]
        .concat();
        let writer = async {
            for byte in &bytes {
                far.write_all(std::slice::from_ref(byte)).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let reader = async {
            assert_eq!(next(&mut socket).await, Some(Ok(Incoming::Text(Bytes::from_static(b"fragmented")))));
            assert_eq!(next(&mut socket).await, Some(Ok(Incoming::Binary(Bytes::from_static(&[0, 255])))));
            assert_eq!(next(&mut socket).await, Some(Ok(Incoming::Pong)));
        };
        futures::join!(writer, reader);
        let mut answer = [0; 9];
        far.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"\x8a\x07between", "a ping is answered with its payload");
    });
}

#[test]
fn ready_frames_and_pongs_never_mix_even_when_a_byte_at_a_time_is_taken() {
    let machine = machine();
    machine.block_on(async {
        let (mut socket, client) = pair(&machine, 1).await;
        let (mut to_server, mut from_server) = client.split();
        let frames: Vec<Bytes> =
            (0..200u32)
                .map(|n| {
                    if n % 7 == 0 {
                        Bytes::new()
                    } else {
                        proto::frame::text(format!("event {n}").as_bytes())
                    }
                })
                .collect();
        let server = async {
            for half in frames.chunks(100) {
                socket.send(half).await.unwrap();
                assert_eq!(next(&mut socket).await, Some(Ok(Incoming::Text(Bytes::from_static(b"go on")))));
            }
            assert_eq!(next(&mut socket).await, None);
            drop(socket);
        };
        let writer = async {
            for half in 0..2u8 {
                to_server.send(Message::Ping(vec![half].into())).await.unwrap();
                to_server.send(Message::Text("go on".into())).await.unwrap();
            }
            to_server.close().await.unwrap();
        };
        let reader = async {
            let (mut texts, mut pongs) = (Vec::new(), 0);
            while let Some(Ok(message)) = from_server.next().await {
                match message {
                    Message::Text(text) => texts.push(text.to_string()),
                    Message::Pong(_) => pongs += 1,
                    _ => {}
                }
            }
            (texts, pongs)
        };
        let ((), (), (texts, pongs)) = futures::join!(server, writer, reader);
        let expected: Vec<String> = (0..200).filter(|n| n % 7 != 0).map(|n| format!("event {n}")).collect();
        assert_eq!(texts, expected);
        assert_eq!(pongs, 2);
    });
}

#[test]
fn a_message_over_the_limit_is_named_before_it_is_read_and_the_peer_is_told() {
    let machine = machine();
    machine.block_on(async {
        let (mut socket, mut far) = raw(&machine, 4096);
        let mut head = vec![0x82, 0xff];
        head.extend_from_slice(&(FRAME_MAX as u64 + 1).to_be_bytes());
        head.extend_from_slice(&[0; 4]);
        far.write_all(&head).await.unwrap();
        assert_eq!(next(&mut socket).await, Some(Err(SocketError::TooLarge)));
        let peer = async {
            let mut answer = Vec::new();
            far.read_to_end(&mut answer).await.unwrap();
            drop(far);
            answer
        };
        let ((), answer) = futures::join!(socket.close(4003, "frame_too_large"), peer);
        assert_eq!(answer[..4], [0x88, 17, 0x0f, 0xa3]);
        assert_eq!(&answer[4..], b"frame_too_large");
        assert_eq!(next(&mut socket).await, None);
        assert!(socket.send(&[proto::frame::text(b"late")]).await.is_err());
    });
}

#[test]
fn what_is_not_websocket_or_not_utf_8_is_named() {
    let machine = machine();
    machine.block_on(async {
        let cases: [(&[u8], bool); 5] = [
            (&[0x81, 0x81, 0, 0, 0, 0, 0xff], true),  // text that is not UTF-8
            (&[0x81, 0x01, b'x'], false),             // a client's frame without a mask
            (&[0xc1, 0x81, 0, 0, 0, 0, b'x'], false), // compression that nobody agreed on
            (&[0x83, 0x80, 0, 0, 0, 0], false),       // an unknown kind of frame
            (&[0x80, 0x81, 0, 0, 0, 0, b'x'], false), // a continuation of nothing
        ];
        for (bytes, utf8) in cases {
            let (mut socket, mut far) = raw(&machine, 4096);
            far.write_all(bytes).await.unwrap();
            match next(&mut socket).await {
                Some(Err(SocketError::NotUtf8)) => assert!(utf8, "{bytes:?}"),
                Some(Err(SocketError::Protocol(_))) => assert!(!utf8, "{bytes:?}"),
                other => panic!("{bytes:?} gave {other:?}"),
            }
            assert_eq!(next(&mut socket).await, None);
        }
    });
}

#[test]
fn a_flood_of_pings_is_refused() {
    let machine = machine();
    machine.block_on(async {
        let (mut socket, mut far) = raw(&machine, 4096);
        far.write_all(&client_frame(0x89, b"x").repeat(11)).await.unwrap();
        far.write_all(&client_frame(0x82, b"never seen")).await.unwrap();
        assert!(matches!(next(&mut socket).await, Some(Err(SocketError::Protocol(_)))));
        assert_eq!(next(&mut socket).await, None);
    });
}

#[test]
fn a_close_of_either_side_is_answered_and_ends_the_stream() {
    let machine = machine();
    machine.block_on(async {
        let (mut socket, mut client) = pair(&machine, 4096).await;
        let peer = async {
            client.close(Some(CloseFrame { code: 1000.into(), reason: "bye".into() })).await.unwrap();
            client.next().await
        };
        let (end, answer) = futures::join!(socket.next(), peer);
        assert_eq!(end, None);
        assert!(matches!(answer, Some(Ok(Message::Close(Some(frame)))) if u16::from(frame.code) == 1000));

        let (mut socket, mut client) = pair(&machine, 4096).await;
        let peer = async {
            let first = client.next().await;
            assert!(client.next().await.is_none_or(|end| end.is_err()));
            first
        };
        let reason = "ä".repeat(100);
        let ((), answer) = futures::join!(socket.close(4000, &reason), peer);
        let Some(Ok(Message::Close(Some(frame)))) = answer else { panic!("{answer:?}") };
        assert_eq!((u16::from(frame.code), frame.reason.as_str()), (4000, &*"ä".repeat(61)));
    });
}

#[test]
fn a_peer_that_never_answers_a_close_does_not_hold_it_up() {
    let machine = machine();
    machine.block_on(async {
        let (mut socket, mut far) = raw(&machine, 4096);
        socket.close(4008, "idle").await;
        let mut answer = Vec::new();
        far.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"\x88\x06\x0f\xa8idle");
    });
}

#[test]
fn after_a_write_that_was_given_up_in_mid_frame_nothing_more_is_said() {
    let machine = machine();
    machine.block_on(async {
        let (mut socket, mut far) = raw(&machine, 10);
        let frame = proto::frame::text(&[b'x'; 100]);
        let host = machine.host();
        assert!(
            host.timeout(Duration::from_millis(1), socket.send(std::slice::from_ref(&frame))).await.is_err()
        );
        assert!(socket.send(std::slice::from_ref(&frame)).await.is_err());
        assert_eq!(next(&mut socket).await, None);
        socket.close(4006, "slow_consumer").await;
        let mut got = Vec::new();
        far.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, &frame[..10], "neither a close frame nor the next one is put into the middle");
    });
}

#[test]
fn an_idle_socket_is_small_again_after_a_large_message() {
    let machine = machine();
    machine.block_on(async {
        let (mut socket, mut client) = pair(&machine, 256).await;
        let large = "y".repeat(FRAME_MAX);
        for round in 0..3u8 {
            let talk = async {
                client.send(Message::Text(large.clone().into())).await.unwrap();
                client.send(Message::Binary(vec![round].into())).await.unwrap();
            };
            let (one, ()) = futures::join!(socket.next(), talk);
            assert_eq!(one, Some(Ok(Incoming::Text(Bytes::from(large.clone())))));
            assert_eq!(next(&mut socket).await, Some(Ok(Incoming::Binary(Bytes::from(vec![round])))));
            assert!(socket.line.wastes());
            assert!(futures::poll!(std::pin::pin!(socket.next())).is_pending());
            assert!(!socket.line.wastes(), "the buffer of round {round} was not given back");
        }
    });
}

#[test]
fn a_socket_costs_less_than_its_buffer() {
    assert!(
        size_of::<Socket<tokio::net::TcpStream>>() <= 512,
        "{}",
        size_of::<Socket<tokio::net::TcpStream>>()
    );
}
