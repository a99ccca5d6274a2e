import { Test, TestingModule } from '@nestjs/testing';
import { INestApplication } from '@nestjs/common';
import request from 'supertest';
import { App } from 'supertest/types.js';
import { AppModule } from './../src/app.module.js';

describe('Greetings (e2e)', () => {
  let app: INestApplication<App>;

  beforeEach(async () => {
    const moduleFixture: TestingModule = await Test.createTestingModule({
      imports: [AppModule],
    }).compile();

    app = moduleFixture.createNestApplication();
    await app.init();
  });

  it('/greetings/:name (GET)', () => {
    return request(app.getHttpServer())
      .get('/greetings/Ada')
      .expect(200)
      .expect('Hello Ada!');
  });

  it('/greetings/:name (GET), for nobody', () => {
    return request(app.getHttpServer())
      .get('/greetings/nobody')
      .expect(404)
      .expect(/there is nobody/);
  });

  it('/greetings (GET)', () => {
    return request(app.getHttpServer())
      .get('/greetings?names=Ada,Zo%C3%AB')
      .expect(200)
      .expect('Hello Ada! Hello Zoë!');
  });

  it('/greetings/:name/visits (POST)', async () => {
    await request(app.getHttpServer())
      .post('/greetings/Ada/visits')
      .expect(201);
    await vi.waitFor(async () => {
      const { body } = await request(app.getHttpServer()).get(
        '/greetings/visitors',
      );
      expect(body).toEqual(['Ada']);
    });
  });

  afterEach(async () => {
    await app.close();
  });
});
